// Everything that this module offers: conventions first, then one header for each kernel family.
#include "kiln_base.h"

#include "kiln_conv.h"
#include "kiln_depthwise.h"
#include "kiln_elementwise.h"
#include "kiln_gemm.h"
#include "kiln_move.h"
#include "kiln_norm.h"
#include "kiln_poolwin.h"
#include "kiln_processors.h"
#include "kiln_rnn.h"
#include "kiln_training.h"
#include "kiln_weights.h"
