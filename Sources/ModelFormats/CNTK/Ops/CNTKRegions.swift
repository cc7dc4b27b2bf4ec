import GraphModule
import TensorModule

/// `ROIPooling`: the maximum of each cell of a grid over regions [x1, y1, x2, y2] of images.
struct CNTKRegions {
  private let call: CNTKCall

  init(_ call: CNTKCall) { self.call = call }

  func build() throws -> CNTKValue { throw call.unsupported("pooling over regions") }
}
