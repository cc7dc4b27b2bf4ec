/// An op that spends its time on sums of products, in which operands of fewer bits lose little.
package protocol ProductOp: OpDefinition {
  /// How many of the first operands are multiplied.
  var factorCount: Int { get }
}

extension ProductOp {
  package var factorCount: Int { 2 }
}

extension MatMul: ProductOp {}

extension Conv: ProductOp {}

extension ConvTranspose: ProductOp {}

extension RNN: ProductOp {
  /// The inputs and both kernels.
  package var factorCount: Int { 3 }
}
