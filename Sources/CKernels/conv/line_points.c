#include "line.h"

// Two or four values q; the products of (y - q^2) over all and over all but one.
#define SQ(x) ((x) * (x))
#define POWERS(x) {1, (x), SQ(x), SQ(x) * (x), SQ(x) * SQ(x), SQ(x) * SQ(x) * (x), SQ(x) * SQ(x) * SQ(x)}
#define OTHER2(b) {-SQ(b), 1}
#define OTHER4(b, c, d) \
  {-SQ(b) * SQ(c) * SQ(d), SQ(b) * SQ(c) + SQ(b) * SQ(d) + SQ(c) * SQ(d), -(SQ(b) + SQ(c) + SQ(d)), 1}
#define PAIRS2(s_, a, b)                                                                  \
  {.pairs = 2, .s = s_, .q = {a, b}, .all = {SQ(a) * SQ(b), -(SQ(a) + SQ(b)), 1},         \
   .others = {OTHER2(b), OTHER2(a)}, .q_power = {POWERS(a), POWERS(b)}, .s_power = POWERS(s_)}
#define PAIRS4(s_, a, b, c, d)                                                            \
  {.pairs = 4, .s = s_, .q = {a, b, c, d},                                                \
   .all = {SQ(a) * SQ(b) * SQ(c) * SQ(d),                                                 \
           -(SQ(a) * SQ(b) * SQ(c) + SQ(a) * SQ(b) * SQ(d) + SQ(a) * SQ(c) * SQ(d) + SQ(b) * SQ(c) * SQ(d)), \
           SQ(a) * SQ(b) + SQ(a) * SQ(c) + SQ(a) * SQ(d) + SQ(b) * SQ(c) + SQ(b) * SQ(d) + SQ(c) * SQ(d),    \
           -(SQ(a) + SQ(b) + SQ(c) + SQ(d)), 1},                                          \
   .others = {OTHER4(b, c, d), OTHER4(a, c, d), OTHER4(a, b, d), OTHER4(a, b, c)},        \
   .q_power = {POWERS(a), POWERS(b), POWERS(c), POWERS(d)}, .s_power = POWERS(s_)}

static const kiln_line_points seven = PAIRS2(KILN_LINE7_S, KILN_LINE7_A, KILN_LINE7_B);
static const kiln_line_points eleven =
    PAIRS4(KILN_LINE11_S, KILN_LINE11_A, KILN_LINE11_B, KILN_LINE11_C, KILN_LINE11_D);

const kiln_line_points *kiln_line_points_of(int32_t points) { return points == 7 ? &seven : &eleven; }
