// Written by scripts/make-op-goldens from tensorflow 2.21.0 and keras 3.15.1.
import GraphModule

extension Golden {
  static var all: [Golden] {
    [
      elementwise,
      chain,
      matmul,
      conv,
      convTranspose,
      pool,
      resize,
      reduce,
      argReduce,
      cumulative,
      topK,
      softmax,
      layerNorm,
      rmsNorm,
      batchNorm,
      transpose,
      reshape,
      reverse,
      broadcastTo,
      slice,
      concat,
      pad,
      gather,
      oneHot,
      cast,
      rnn,
      sort,
      scatter,
      fft,
      cholesky,
      triangularSolve,
      lu,
      qr,
      svd,
      eigh,
      dataSizes,
      special,
      bitcast,
      runningLogs,
    ].flatMap { $0 }
  }
}
