/// Every op there is, by name.
package enum OpCatalog {
  package static let all: [any OpDefinition.Type] = [
    ArgReduce.self, AsString.self, BatchNorm.self, Bincount.self, Branch.self, BroadcastTo.self, Cast.self,
    CheckRange.self, Cholesky.self, CombinedNonMaxSuppression.self, Concat.self, Conv.self, ConvTranspose.self, Cumulative.self,
    DynamicBroadcastTo.self, DynamicRange.self, DynamicReshape.self, DynamicSlice.self, DynamicTile.self,
    Elementwise.self, ElementwiseChain.self, FourierTransform.self, Gather.self, HashCross.self, LayerNorm.self,
    Lookup.self, Loop.self, LU.self, MatMul.self, NonMaxSuppression.self, NonZero.self, OneHot.self, Pad.self,
    Pool.self, QR.self, Reduce.self, RegexFullMatch.self, RegexReplace.self, Reshape.self, Resize.self, Reverse.self,
    RMSNorm.self, RNN.self, Scatter.self, SetItem.self, ShapeOf.self, SingularValues.self, Slice.self, Softmax.self,
    Sort.self, StringJoin.self, StringLength.self, StringMap.self, StringNGrams.self, StringSlice.self,
    StringSplit.self, StringToHashBucket.self, StringToNumber.self, SymmetricEigen.self, TokenCounts.self, TopK.self,
    Transpose.self, TriangularSolve.self, Unique.self,
  ]

  private static let byName: [String: any OpDefinition.Type] = Dictionary(
    uniqueKeysWithValues: all.map { ($0.name, $0) })

  package static func op(named name: String) -> (any OpDefinition.Type)? { byName[name] }
}
