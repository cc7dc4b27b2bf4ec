import GraphModule
import TensorModule

/// Moves elements, whatever they mean, between two arrangements of one shape. Axes along which both go on alike are joined.
struct CopyKernel {
  private(set) var dims: [Int] = []
  private(set) var source: [Int] = []
  private(set) var target: [Int] = []

  /// - Parameters:
  ///   - source, target: the elements between neighbours along each axis; a source's may be 0 or negative.
  init(_ shape: [Int], source from: [Int], target to: [Int]) {
    for axis in shape.indices where shape[axis] != 1 {
      if let last = source.last, last == from[axis] * shape[axis], target[target.count - 1] == to[axis] * shape[axis] {
        dims[dims.count - 1] *= shape[axis]
        source[dims.count - 1] = from[axis]
        target[dims.count - 1] = to[axis]
      } else {
        dims.append(shape[axis])
        source.append(from[axis])
        target.append(to[axis])
      }
    }
    if dims.isEmpty { (dims, source, target) = ([1], [1], [1]) }
  }

  /// Whether a run of elements becomes a run.
  var isRun: Bool { dims.count == 1 && source == [1] && target == [1] }

  /// The C type of elements that are only moved.
  static func type(bytes: Int) -> String { bytes == 1 ? "uchar" : bytes == 2 ? "ushort" : bytes == 4 ? "uint" : "ulong" }

  /// Adds the kernel call; `first` and `start` are the places of the first element in both.
  func append(to node: GPULowering, bytes: Int, _ x: GPUArgument, first: Int = 0, _ y: GPUArgument, start: Int = 0) {
    if dims.contains(0) { return }
    if tiles(node, bytes, x, first, y, start) { return }
    let grid = ElementGrid(dims)
    var parameters: [String] = []
    var arguments: [GPUArgument] = []
    func index(_ name: String, _ strides: [Int]) -> String {
      strides.enumerated().map { axis, stride in
        if stride == 1 { return "c\(axis)" }
        parameters.append("int \(name)\(axis)")
        arguments.append(.int(stride))
        return "c\(axis) * \(name)\(axis)"
      }.joined(separator: " + ")
    }
    let (from, to) = (index("s", source), index("t", target))
    let type = Self.type(bytes: bytes)
    let text = """
      kernel void copy(global const \(type) *x, global \(type) *y, int first, int start\(parameters.map { ", " + $0 }.joined()), \(grid.parameters)) {
      \(grid.text)
        y[start + \(to)] = x[first + \(from)];
      }
      """
    grid.append(to: node, KernelSource(text), "copy", [x, y, .int(first), .int(start)] + arguments)
  }

  /// A matrix's transpose goes through local memory on GPUs, so that reads and writes are both of neighbours.
  private func tiles(_ node: GPULowering, _ bytes: Int, _ x: GPUArgument, _ first: Int, _ y: GPUArgument, _ start: Int) -> Bool {
    let last = dims.count - 1
    guard !node.prefersVectors, last == 1 || last == 2, target[last] == 1, source[last - 1] == 1, dims[last] >= 16, dims[last - 1] >= 16,
      node.device.maximumGroup >= 256, node.device.localMemoryBytes >= 16 * 17 * 8
    else { return false }
    let type = Self.type(bytes: bytes)
    let source = KernelSource(
      """
      kernel void transpose(
          global const \(type) *x, global \(type) *y, int first, int start, int rows, int columns, int from, int to, int from_outer, int to_outer) {
        local \(type) tile[16][17];
        int lx = get_local_id(0), ly = get_local_id(1), z = get_global_id(2);
        int row = get_group_id(1) * 16 + lx, column = get_group_id(0) * 16 + ly;
        if (row < rows && column < columns) tile[ly][lx] = x[first + z * from_outer + row + column * from];
        barrier(CLK_LOCAL_MEM_FENCE);
        row = get_group_id(1) * 16 + ly;
        column = get_group_id(0) * 16 + lx;
        if (row < rows && column < columns) y[start + z * to_outer + row * to + column] = tile[lx][ly];
      }
      """)
    let outer = last == 2 ? dims[0] : 1
    let numbers = [first, start, dims[last - 1], dims[last], self.source[last], target[last - 1], last == 2 ? self.source[0] : 0, last == 2 ? target[0] : 0]
    node.kernel(
      source, "transpose", [x, y] + numbers.map { .int($0) }, global: [dims[last], dims[last - 1], outer], local: [16, 16, 1])
    return true
  }
}

extension GPULowering {
  /// The result is operand 0 read from element `first` on with these strides: its memory where that is a run, else a copy.
  func arranged(first: Int, strides: [Int]) -> GPUSupport {
    let copy = CopyKernel(outputShapes[0], source: strides, target: outputShapes[0].rowMajorStrides)
    let bytes = storedBytes(inputs[0].dtype)
    if copy.isRun, alias(of: 0, byteOffset: first * bytes) { return .runs }
    copy.append(to: self, bytes: bytes, input(0), first: first, output())
    return .runs
  }
}
