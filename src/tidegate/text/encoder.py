"""Messages to id lists.

Takes a `Vocabulary` and a text config; gives every text its ids. Knows nothing of weights.
Training, prediction, the walk and the exports all read text through `Encoder`.

An encoder may be used by any number of threads: words are only added to it, under a lock, and an id
never changes its meaning. To forget the words out of vocabulary means to go on with another encoder
(`without_new_words`); whoever holds the old one can finish with it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from itertools import chain, islice

import numpy as np

from tidegate.config import TextConfig
from tidegate.text.ids import Flat, Ints, flatten, one_message
from tidegate.text.tokenizers import SurfaceTokenizer, make_tokenizer
from tidegate.text.vocabulary import DROPPED, PAD_ID, Vocabulary

END = None  # stands for no word: what follows a message's last
END_ID = -2
MAX_OPEN_WORDS = 100_000
MAX_CACHED_SURFACES = 200_000  # about 40 MB
MAX_SURFACE_CHARACTERS = 64
WORDS_AT_ONCE = 65_536  # looked up together, so that long messages are cut before the next are read
LONG_MESSAGE = 1_024  # surface words; only as many of a longer message's are looked up as are read


class _Ids(dict[str, int]):
    """Token → id, with what to do about a token that has none."""

    def __init__(self, vocabulary: Vocabulary, *, open_words: bool) -> None:
        super().__init__(vocabulary.index)
        self.unknown_id = vocabulary.unknown_id
        self.open_words = open_words
        self.n_known = len(self)
        self.new_words: list[str] = []
        self.new_characters = 0
        self._adding = threading.Lock()

    def __missing__(self, token: str) -> int:
        if not self.open_words:
            return self.unknown_id
        with self._adding:
            number = self.get(token)
            if number is None:  # else another thread was first
                number = self.n_known + len(self.new_words)
                self.new_words.append(token)
                self.new_characters += len(token)
                self[token] = number  # last: who finds the id finds the word
        return number


class SurfaceIds(dict[str | None, tuple[int, ...]]):
    """Surface word → its tokens' ids, so that a message met in part before is only looked up."""

    def __init__(self, tokenizer: SurfaceTokenizer, ids: _Ids) -> None:
        super().__init__()
        self.read, self.mended, self.ids = tokenizer.read, tokenizer.mended, ids

    def __missing__(self, surface: str | None) -> tuple[int, ...]:
        if surface is None:
            self[END] = (END_ID,)
            return self[END]
        ids, kept = self.found(surface)
        if kept:
            if len(self) >= MAX_CACHED_SURFACES:
                self.clear()
            self[surface] = ids
        return ids

    def found(self, surface: str) -> tuple[tuple[int, ...], bool]:
        """Return a surface word's ids, and whether they are worth remembering."""
        found = map(self.ids.__getitem__, self.read(surface))
        # Long numbers never end, and are read faster than other words.
        short = len(surface) <= MAX_SURFACE_CHARACTERS and not surface.isdigit()
        return tuple(i for i in found if i != DROPPED), len(surface) < 5 or short


class Encoder:
    """Texts to id lists.

    A message with nothing the model knows is read as one padding token, so no list is empty.

    Parameters
    ----------
    config : how text becomes tokens
    vocabulary : the fitted tokens
    open_words : give words out of vocabulary ids of their own, from `len(vocabulary)` on, because
        the model has pretrained vectors for them; `new_words` lists them in id order
    length : tokens read of a message at most; 0: as `config.max_tokens` says
    """

    def __init__(
        self,
        config: TextConfig,
        vocabulary: Vocabulary,
        *,
        open_words: bool = False,
        length: int = 0,
    ) -> None:
        self.config = config
        self.vocabulary = vocabulary
        self.tokenizer = make_tokenizer(config)
        self.limit = length or config.max_tokens or None
        self._ids = _Ids(vocabulary, open_words=open_words)
        # What cuts a text into surface words, and their ids, if the tokeniser does so.
        self._surfaces: tuple[Callable[[str], list[str]], SurfaceIds] | None = None
        if isinstance(self.tokenizer, SurfaceTokenizer):
            self._surfaces = self.tokenizer.surfaces, SurfaceIds(self.tokenizer, self._ids)

    @property
    def open_words(self) -> bool:
        """Whether words out of vocabulary are read by their pieces."""
        return self._ids.open_words

    @property
    def new_words(self) -> list[str]:
        """Words met out of vocabulary that were given ids, in id order."""
        return self._ids.new_words

    @property
    def new_characters(self) -> int:
        """How many characters the new words have together."""
        return self._ids.new_characters

    @property
    def by_surfaces(self) -> SurfaceIds | None:
        """What gives the ids of one surface word, if texts are cut at white space alone."""
        return None if self._surfaces is None else self._surfaces[1]

    def without_new_words(self) -> Encoder:
        """Return an encoder like this one that has met no word out of vocabulary yet.

        How many words an encoder remembers is bounded by its caller, who changes to a new one.
        """
        return Encoder(
            self.config, self.vocabulary, open_words=self.open_words, length=self.limit or 0
        )

    def encode(self, text: str) -> list[int]:
        """Return the ids of one message."""
        if self._surfaces is None:
            return self.encode_tokens(self.tokenizer(text))
        cut, ids = self._surfaces
        found = chain.from_iterable(map(ids.__getitem__, cut(text)))
        return list(islice(found, self.limit)) or [PAD_ID]

    def encode_all(self, texts: Sequence[str]) -> Flat:
        """Return the ids of many messages, the same as `encode` gives one by one, but faster.

        All surface words of all messages are looked up in one go, with an end after each message;
        NumPy then finds the ends.
        """
        if len(texts) == 1:
            return one_message(self.encode(texts[0]))
        if self._surfaces is None:
            return flatten([self.encode(text) for text in texts])
        cut, known = self._surfaces
        parts: list[Ints] = []
        words: list[str | None] = []
        for text in texts:
            surfaces = cut(text)
            if self.limit and len(surfaces) > LONG_MESSAGE:
                found = chain.from_iterable(map(known.__getitem__, surfaces))
                parts.append(self._looked_up(words, known))
                parts.append(np.array([*islice(found, self.limit), END_ID], np.int64))
                words = []
                continue
            words += surfaces
            words.append(END)
            if len(words) > WORDS_AT_ONCE:
                parts.append(self._looked_up(words, known))
                words = []
        ids = np.concatenate([*parts, self._looked_up(words, known)])
        ends = np.flatnonzero(ids == END_ID)
        lengths = np.diff(ends, prepend=-1) - 1
        ids[ends] = PAD_ID  # an empty message reads its end
        return Flat(ids=ids, starts=ends - lengths, lengths=np.maximum(lengths, 1), ends=ends)

    def _looked_up(self, words: list[str | None], known: SurfaceIds) -> Ints:
        """Return the ids of messages' surface words, no message longer than the limit."""
        ids = np.fromiter(chain.from_iterable(map(known.__getitem__, words)), np.int64)
        ends = np.flatnonzero(ids == END_ID)
        lengths = np.diff(ends, prepend=-1)  # with the end
        if not self.limit or lengths.max(initial=0) <= self.limit + 1:
            return ids
        place = np.arange(len(ids)) - np.repeat(ends + 1 - lengths, lengths)  # in its message
        cut_ids: Ints = ids[(place < self.limit) | (ids == END_ID)]
        return cut_ids

    def encode_tokens(self, tokens: list[str]) -> list[int]:
        """Return the ids of tokens: those out of vocabulary replaced or dropped, the rest cut."""
        find = self._ids.__getitem__
        if self._ids.unknown_id == DROPPED and not self._ids.open_words:
            ids = [i for i in map(find, tokens) if i != DROPPED][: self.limit]
        else:
            ids = list(map(find, tokens[: self.limit]))
        return ids or [PAD_ID]
