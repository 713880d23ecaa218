/* What every processor of its kind can do: SSE2 on x86-64, NEON on 64-bit ARM. */
#define NAME isa_base
#define LANES 4
#if defined(__aarch64__)
#include <arm_neon.h>
#define SMALLER(a, b) ((vec)vminq_f32((float32x4_t)(a), (float32x4_t)(b)))
#define LARGER(a, b) ((vec)vmaxq_f32((float32x4_t)(a), (float32x4_t)(b)))
#define ROWS 8 /* 32 registers */
#define TITLE "NEON"
#elif defined(__x86_64__)
#include <immintrin.h>
#define SMALLER(a, b) ((vec)_mm_min_ps((__m128)(a), (__m128)(b)))
#define LARGER(a, b) ((vec)_mm_max_ps((__m128)(a), (__m128)(b)))
#define ROWS 6
#define TITLE "x86-64 (SSE2)"
#else
#define ROWS 4
#define TITLE "portable"
#endif
#include "recurrence.h"
