import GraphModule
import TensorModule

extension Gather: GPUBinding {
  package func lower(_ node: GPULowering) throws -> GPUSupport {
    let (data, indices) = (node.inputShapes[0], node.inputShapes[1])
    let inner = data[(axis + 1)...].reduce(1, *)
    let before = data[batchDims..<axis].reduce(1, *)
    let picks = indices[batchDims...].reduce(1, *)
    let grid = ElementGrid([data[..<batchDims].reduce(1, *) * before, picks, inner])
    let type = CopyKernel.type(bytes: node.storedBytes(node.inputs[0].dtype))
    let source = KernelSource(
      """
      kernel void gather(
          global const \(type) *x, global const \(ScalarPrinter.storedType(node.inputs[1].dtype)) *indices, global \(type) *y, global int *wrong,
          int length, int before, \(grid.parameters)) {
      \(grid.text)  long index = \(ScalarPrinter.load(node.inputs[1].dtype, "indices", "(c0 / before * d1 + c1)"));
        if (index < 0 || index >= length) {
          *wrong = 1;
          index = 0;
        }
        y[i] = length == 0 ? 0 : x[((size_t)c0 * length + index) * d2 + c2];
      }
      """)
    let flag = node.errorFlag("op 'gather': an index is not in 0..<\(data[axis])")
    grid.append(to: node, source, "gather", [node.input(0), node.input(1), node.output(), flag, .int(data[axis]), .int(before)])
    return .runs
  }
}

extension OneHot: GPUBinding {
  package func lower(_ node: GPULowering) throws -> GPUSupport {
    guard let on = Pad.bits(on, dtype, node.precision), let off = Pad.bits(off, dtype, node.precision) else { return .refused("it makes texts") }
    let grid = ElementGrid([node.inputShapes[0].reduce(1, *), depth])
    let type = CopyKernel.type(bytes: node.storedBytes(dtype))
    let source = KernelSource(
      """
      kernel void one_hot(
          global const \(ScalarPrinter.storedType(node.inputs[0].dtype)) *x, global \(type) *y, long on, long off, \(grid.parameters)) {
      \(grid.text)  y[i] = (\(type))(\(ScalarPrinter.load(node.inputs[0].dtype, "x", "c0")) == c1 ? on : off);
      }
      """)
    grid.append(to: node, source, "one_hot", [node.input(0), node.output(), .long(on), .long(off)])
    return .runs
  }
}

extension SetItem: GPUBinding {
  package func lower(_ node: GPULowering) throws -> GPUSupport {
    let shape = node.inputShapes[0]
    let grid = ElementGrid([shape[0], shape.dropFirst().reduce(1, *)])
    let type = CopyKernel.type(bytes: node.storedBytes(node.inputs[0].dtype))
    let source = KernelSource(
      """
      kernel void set_item(
          global const \(type) *x, global const \(ScalarPrinter.storedType(node.inputs[1].dtype)) *index, global const \(type) *item, global \(type) *y,
          global int *wrong, int length, \(grid.parameters)) {
      \(grid.text)  long at = \(ScalarPrinter.load(node.inputs[1].dtype, "index", "0"));
        if (at < 0 || at >= length) *wrong = 1;
        y[i] = c0 == at ? item[c1] : x[i];
      }
      """)
    let flag = node.errorFlag("op 'set_item': the index is not in 0..<\(shape[0])")
    node.allowInPlace(over: 0)
    grid.append(to: node, source, "set_item", [node.input(0), node.input(1), node.input(2), node.output(), flag, .int(shape[0])])
    return .runs
  }
}
