// The activation of tiles over `count` vectors, in the vocabulary of simd_*.h.
INLINE void finish_vectors(V *x, const int count, kiln_finish finish, const float *p) {
  const V zero = ZERO, p0 = SET(p[0]), p1 = SET(p[1]);
  switch (finish) {
    case KILN_FINISH_NONE: break;
    case KILN_FINISH_CLIP:
      UNROLL for (int i = 0; i < count; i++) x[i] = MIN(p1, MAX(p0, x[i]));
      break;
    case KILN_FINISH_LEAKY:
      UNROLL for (int i = 0; i < count; i++) x[i] = WHERE_NEGATIVE(x[i], MUL(x[i], p0));
      break;
    case KILN_FINISH_HARD_SIGMOID:
      UNROLL for (int i = 0; i < count; i++) x[i] = MIN(SET(1), MAX(zero, FMA(x[i], p0, p1)));
      break;
    case KILN_FINISH_HARD_SWISH:
      UNROLL for (int i = 0; i < count; i++)
        x[i] = MUL(MUL(x[i], MIN(SET(6), MAX(zero, ADD(x[i], SET(3))))), SET(1.0f / 6.0f));
      break;
  }
}
