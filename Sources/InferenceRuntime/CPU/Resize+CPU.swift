import CKernels
import GraphModule
import TensorModule

extension Resize: CPUBinding {
  package func lower(_ node: NodeLowering) throws -> Bool {
    let (input, output) = (node.inputShapes[0], node.outputShapes[0])
    let rank = input.count - 2
    guard (1...2).contains(rank), mode == .nearest || node.isAll(.float32) else { return false }
    if input == output, coordinates != .asymmetric || mode == .bilinear || rounding != .ceil {
      node.alias(of: 0)
      return true
    }
    var params = kiln_resize_params()
    params.bilinear = mode == .bilinear ? 1 : 0
    params.element_size = Int32(node.inputs[0].dtype.byteCount)
    let unshifted = mode == .nearest && coordinates == .halfPixel && rounding == .floor
    params.coordinates =
      switch coordinates {
      case .halfPixel: Int32((unshifted ? KILN_RESIZE_HALF_PIXEL_UNSHIFTED : KILN_RESIZE_HALF_PIXEL).rawValue)
      case .asymmetric: Int32(KILN_RESIZE_ASYMMETRIC.rawValue)
      case .alignCorners: Int32(KILN_RESIZE_ALIGN_CORNERS.rawValue)
      }
    params.rounding =
      switch rounding {
      case .floor: Int32(KILN_RESIZE_FLOOR.rawValue)
      case .ceil: Int32(KILN_RESIZE_CEIL.rawValue)
      case .preferFloor: Int32(KILN_RESIZE_ROUND_PREFER_FLOOR.rawValue)
      }
    params.batch = Int64(input[0])
    params.channels = Int64(input[rank + 1])
    (params.source_height, params.source_width) = rank == 1 ? (1, Int64(input[1])) : (Int64(input[1]), Int64(input[2]))
    (params.target_height, params.target_width) = rank == 1 ? (1, Int64(output[1])) : (Int64(output[1]), Int64(output[2]))
    try node.step(
      kiln_resize, "resize/\(mode.rawValue)", copying: params, [node.input(0), node.output()],
      parts: kiln_resize_parts(&params, node.threads))
    return true
  }
}
