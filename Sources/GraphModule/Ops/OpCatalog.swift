/// Every op there is, by name.
package enum OpCatalog {
  package static let all: [any OpDefinition.Type] = [
    ArgReduce.self, BatchNorm.self, Branch.self, BroadcastTo.self, Cast.self, Cholesky.self, Concat.self, Conv.self,
    ConvTranspose.self, Cumulative.self, DynamicBroadcastTo.self, DynamicRange.self, DynamicReshape.self,
    DynamicSlice.self, DynamicTile.self, Elementwise.self, ElementwiseChain.self, FourierTransform.self, Gather.self,
    LayerNorm.self, Loop.self, LU.self, MatMul.self, NonMaxSuppression.self, NonZero.self, OneHot.self, Pad.self,
    Pool.self, QR.self, Reduce.self, Reshape.self, Resize.self, Reverse.self, RMSNorm.self, RNN.self, Scatter.self,
    SetItem.self, ShapeOf.self, SingularValues.self, Slice.self, Softmax.self, Sort.self, SymmetricEigen.self,
    TopK.self, Transpose.self, TriangularSolve.self, Unique.self,
  ]

  private static let byName: [String: any OpDefinition.Type] = Dictionary(
    uniqueKeysWithValues: all.map { ($0.name, $0) })

  package static func op(named name: String) -> (any OpDefinition.Type)? { byName[name] }
}
