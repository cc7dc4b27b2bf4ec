import GraphModule
import TensorModule

extension TFOpCatalog {
  static let matrices = Family("Matrices", [:])
}
