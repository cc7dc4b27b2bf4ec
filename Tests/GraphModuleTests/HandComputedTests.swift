import GraphModule
import TensorModule
import Testing

/// Values worked out by hand where no framework gives them: rounding modes, strings, exact integers, corner cases.
@Suite struct HandComputedTests {
  static func f(_ values: [Double], _ shape: Shape? = nil) -> ReferenceTensor {
    ReferenceTensor(.float32, shape ?? [values.count], .floats(values))
  }

  static func i(_ values: [Int64], _ dtype: DType, _ shape: Shape? = nil) -> ReferenceTensor {
    ReferenceTensor(dtype, shape ?? [values.count], .integers(values))
  }

  static func s(_ values: [ByteString], _ shape: Shape) -> ReferenceTensor {
    ReferenceTensor(.string, shape, .strings(values))
  }

  static func run(_ op: any OpDefinition, _ inputs: ReferenceTensor...) throws -> [ReferenceTensor] {
    let types = try op.infer(inputs.map { TensorType($0.dtype, shape: $0.shape) })
    let results = try op.reference(inputs, types)
    #expect(results.map { TensorType($0.dtype, shape: $0.shape) } == types)
    return results
  }

  /// The numbers of the first result; NaN as nil.
  static func numbers(_ op: any OpDefinition, _ inputs: ReferenceTensor...) throws -> [Double?] {
    let types = try op.infer(inputs.map { TensorType($0.dtype, shape: $0.shape) })
    return try op.reference(inputs, types)[0].numbers.map { $0.isNaN ? nil : $0 }
  }

  @Test(
    arguments: [
      (Resize.Coordinates.asymmetric, Resize.Rounding.floor, 3, [0, 0, 1, 1, 2]),
      (.asymmetric, .preferFloor, 3, [0, 1, 1, 2, 2]),
      (.asymmetric, .ceil, 3, [0, 1, 2, 2, 2]), (.halfPixel, .floor, 4, [1, 3]), (.halfPixel, .preferFloor, 4, [0, 2]),
      (.halfPixel, .ceil, 4, [1, 3]), (.alignCorners, .floor, 4, [0, 1, 3]),
      (.alignCorners, .preferFloor, 4, [0, 1, 3]),
      (.alignCorners, .ceil, 4, [0, 2, 3]), (.halfPixel, .floor, 2, [0, 0, 0, 1, 1, 1]),
    ] as [(Resize.Coordinates, Resize.Rounding, Int, [Double])])
  func nearestPixels(_ coordinates: Resize.Coordinates, _ rounding: Resize.Rounding, _ length: Int, _ wanted: [Double])
    throws
  {
    let op = Resize(.nearest, coordinates: coordinates, rounding: rounding, dims: [Dim(wanted.count)])
    #expect(try Self.numbers(op, Self.f((0..<length).map(Double.init), [1, length, 1])) == wanted)
  }

  @Test func averagesCountPaddingWhenAsked() throws {
    let x = Self.f([1, 2, 3], [1, 3, 1])
    let padding = Padding.explicit([.init(1, 0)])
    #expect(try Self.numbers(Pool(.average, window: [2], strides: [2], padding: padding), x) == [1, 2.5])
    #expect(
      try Self.numbers(Pool(.average, window: [2], strides: [2], padding: padding, countsPadding: true), x) == [
        0.5, 2.5,
      ])
    #expect(
      try Self.numbers(Pool(.max, window: [2], strides: [2], padding: padding), Self.f([-1, -2, -3], [1, 3, 1])) == [
        -1, -2,
      ])
    #expect(
      try Self.numbers(Pool(.max, window: [2], strides: [1]), Self.f([1, .nan, 0, -.infinity, 2], [1, 5, 1])) == [
        nil, nil, 0, 2,
      ])
    let large: Int64 = 1 << 60
    let ints = try Self.run(
      Pool(.max, window: [2], strides: [1], padding: .same), Self.i([large, large + 1, -large], .int64, [1, 3, 1]))
    #expect(ints[0].integers == [large + 1, large + 1, -large])
  }

  @Test func transposedConvolutionsCutAndSplit() throws {
    let x = Self.f([1, 2], [1, 2, 1])
    let w = Self.f([1, 10, 100], [3, 1, 1])
    #expect(try Self.numbers(ConvTranspose(strides: [2]), x, w) == [1, 10, 102, 20, 200])
    let cut = ConvTranspose(strides: [2], padding: .explicit([.init(1, 1)]))
    #expect(try Self.numbers(cut, x, w) == [10, 102, 20])
    let longer = ConvTranspose(strides: [2], padding: .explicit([.init(1, 1)]), outputPadding: [1])
    #expect(try Self.numbers(longer, x, w) == [10, 102, 20, 200])
    let beyond = ConvTranspose(strides: [2], padding: .explicit([.init(0, 0)]), outputPadding: [1])
    #expect(try Self.numbers(beyond, x, w) == [1, 10, 102, 20, 200, 0])
    #expect(try Self.numbers(ConvTranspose(strides: [1], dilations: [2]), x, w) == [1, 2, 10, 20, 100, 200])
    let pixel = Self.f([2, 3], [1, 1, 2])
    let kernel = Self.f([5, 7], [1, 1, 2])
    #expect(try Self.numbers(ConvTranspose(strides: [1]), pixel, kernel) == [31])
    #expect(try Self.numbers(ConvTranspose(strides: [1], groups: 2), pixel, kernel) == [10, 21])
    let fused = ConvTranspose(
      strides: [1], groups: 2, epilogue: Epilogue(bias: true, residual: true, activation: Activation(.relu)))
    #expect(try Self.numbers(fused, pixel, kernel, Self.f([-20, 1]), Self.f([5, 0.5], [1, 1, 2])) == [0, 22.5])
  }

  @Test func stringsMove() throws {
    let x = Self.s(["a", "b", "c", "d"], [2, 2])
    func texts(_ op: any OpDefinition, _ inputs: ReferenceTensor...) throws -> [ByteString] {
      let types = try op.infer(inputs.map { TensorType($0.dtype, shape: $0.shape) })
      guard case .strings(let texts) = try op.reference(inputs, types)[0].storage else { return [] }
      return texts
    }
    #expect(try texts(Transpose([1, 0]), x) == ["a", "c", "b", "d"])
    #expect(try texts(Reverse(axes: [1]), x) == ["b", "a", "d", "c"])
    #expect(try texts(Slice([.all, .init(start: -1)]), x) == ["b", "d"])
    #expect(try texts(Concat(axis: 1), x, Self.s(["e", "f"], [2, 1])) == ["a", "b", "e", "c", "d", "f"])
    #expect(try texts(Gather(axis: 1), x, Self.i([1], .int32)) == ["b", "d"])
    #expect(try texts(Pad(low: [0, 1], high: [0, 0]), x) == ["", "a", "b", "", "c", "d"])
    #expect(try texts(BroadcastTo([2, 2, 2]), x) == ["a", "b", "c", "d", "a", "b", "c", "d"])
    #expect(try texts(Reshape([4]), x) == ["a", "b", "c", "d"])
    #expect(
      try texts(Elementwise(.select), Self.i([1, 0], .bool), x, Self.s(["x", "y"], [2])) == ["a", "y", "c", "y"])
    #expect(try Self.numbers(Elementwise(.equal), x, Self.s(["c"], [1])) == [0, 0, 1, 0])
  }

  @Test func integersAreExactAndWrap() throws {
    let large: Int64 = 1 << 53
    #expect(try Self.run(Reduce(.sum, axes: [0]), Self.i([large, 1], .int64))[0].integers == [large + 1])
    #expect(try Self.run(Reduce(.max, axes: [0]), Self.i([large, large + 1], .int64))[0].integers == [large + 1])
    #expect(try Self.run(Reduce(.prod, axes: [0]), Self.i([16, 16], .int8))[0].integers == [0])
    #expect(try Self.run(Cumulative(.sum, axis: 0), Self.i([100, 100], .int8))[0].integers == [100, -56])
    #expect(try Self.run(Cumulative(.prod, axis: 0), Self.i([20, 20], .uint8))[0].integers == [20, 144])
    #expect(
      try Self.run(TopK(k: 2), Self.i([large, large + 1, large + 2], .int64)).map(\.integers) == [
        [large + 2, large + 1], [2, 1],
      ])
    #expect(try Self.run(ArgReduce(.max, axis: 0), Self.i([large, large + 1], .int64))[0].integers == [1])
    #expect(try Self.run(Slice([.init(start: 1)]), Self.i([0, large + 1], .int64))[0].integers == [large + 1])
    #expect(try Self.run(Cast(.int32), Self.i([large + 5], .int64))[0].integers == [5])
    #expect(try Self.numbers(Cast(.float32), Self.i([16_777_217], .int64)) == [16_777_216])
    #expect(try Self.run(Cast(.uint8), Self.f([-1, 300, .nan, 255.9]))[0].integers == [0, 255, 0, 255])
    #expect(try Self.run(Cast(.bool), Self.f([0, -0.0, .nan, 0.1]))[0].integers == [0, 0, 1, 1])
    let chain = ElementwiseChain(
      inputCount: 1,
      steps: [.init(.add, [], [.input(0), .constant(100)]), .init(.floorDiv, [], [.step(0), .constant(-3)])])
    #expect(try Self.run(chain, Self.i([100, -100, 1], .int8))[0].integers == [18, 0, -34])
  }

  @Test func emptyAxesReduceToTheNeutralElement() throws {
    let x = Self.f([], [2, 0])
    #expect(try Self.numbers(Reduce(.sum, axes: [1]), x) == [0, 0])
    #expect(try Self.numbers(Reduce(.prod, axes: [1]), x) == [1, 1])
    #expect(try Self.numbers(Reduce(.mean, axes: [1]), x) == [nil, nil])
    #expect(try Self.numbers(Reduce(.max, axes: [1]), x) == [-.infinity, -.infinity])
    #expect(try Self.numbers(Reduce(.min, axes: [1]), x) == [.infinity, .infinity])
    #expect(try Self.numbers(Reduce(.logsumexp, axes: [1]), x) == [-.infinity, -.infinity])
    #expect(try Self.numbers(Reduce(.min, axes: [0]), Self.i([], .int8, [0])) == [127])
    #expect(try Self.numbers(Reduce(.all, axes: [0]), Self.i([], .bool, [0])) == [1])
    #expect(try Self.numbers(Reduce(.any, axes: [0]), Self.i([], .bool, [0])) == [0])
    #expect(throws: KilnError.self) { try Self.numbers(ArgReduce(.max, axis: 1), x) }
  }

  @Test func infinitiesAndNaN() throws {
    let inf = Double.infinity
    #expect(try Self.numbers(Softmax(), Self.f([0, -inf])) == [1, 0])
    #expect(try Self.numbers(Softmax(log: true), Self.f([0, -inf])) == [0, -inf])
    #expect(try Self.numbers(Softmax(), Self.f([0, inf])) == [nil, nil])
    #expect(try Self.numbers(Softmax(), Self.f([2000, 2000])) == [0.5, 0.5])
    #expect(try Self.numbers(Softmax(), Self.f([-inf, -inf])) == [nil, nil])
    #expect(try Self.numbers(Reduce(.logsumexp, axes: [0]), Self.f([2000, -inf])) == [2000])
    #expect(try Self.numbers(Reduce(.logsumexp, axes: [0]), Self.f([1, inf])) == [inf])
    #expect(try Self.numbers(Reduce(.max, axes: [0]), Self.f([1, .nan, 3])) == [nil])
    #expect(try Self.numbers(Reduce(.min, axes: [0]), Self.f([.nan, 3])) == [nil])
    #expect(try Self.run(TopK(k: 3), Self.f([1, .nan, inf, .nan]))[1].integers == [1, 3, 2])
    #expect(try Self.numbers(OneHot(depth: 2, on: .infinity, off: -1), Self.i([5, 1], .int64)) == [-1, -1, -1, inf])
  }

  /// What Python gives for `list(range(n))[start:end:step]`.
  static let slices: [(Int, Int?, Int?, Int, [Double])] = [
    (6, 3, -3, -1, []), (6, nil, -6, -3, [5, 2]), (1, -2, nil, 2, [0]), (0, 5, 9, 3, []), (5, 100, 0, -7, [4]),
    (1, nil, -3, 3, []), (5, 3, 1, -2, [3]), (1, -5, -5, 1, []), (1, -1, -1, -3, []), (1, 1, nil, 1, []),
    (1, -5, 2, 2, [0]), (1, 3, 5, 3, []), (6, -100, -2, 3, [0, 3]), (1, -3, 2, -2, []), (2, nil, 5, -2, []),
    (1, -100, 1, -1, []), (0, 5, 3, -7, []), (6, nil, -1, -1, []), (0, 3, 5, -1, []), (5, -3, 5, 2, [2, 4]),
    (5, 9, -3, 2, []), (0, 3, nil, -1, []), (5, nil, 100, -2, []), (2, 7, -1, 1, []), (5, nil, -3, 2, [0]),
    (6, 2, 0, 3, []), (5, 5, 100, -1, []), (6, 3, -5, -3, [3]), (0, -1, -3, -1, []), (2, nil, 7, 1, [0, 1]),
    (1, 5, 100, -7, []), (2, -100, 1, -1, []), (2, -100, -3, 7, []), (0, 3, -2, -1, []), (2, 1, -5, 1, []),
    (1, -3, -3, -1, []), (5, 1, -3, 1, [1]), (0, -1, 100, -2, []), (0, 2, -3, -7, []), (2, -6, 3, -3, []),
    (5, 1, nil, 1, [1, 2, 3, 4]), (5, 5, -6, 3, []), (1, -3, -1, 2, []), (5, 0, 1, -2, []), (2, 1, nil, -2, [1]),
    (2, 1, 9, -7, []), (1, 100, 9, -3, []), (2, 9, 3, -1, []),
  ]

  @Test func slicesAreThoseOfPython() throws {
    for (length, start, end, step, wanted) in Self.slices {
      let op = Slice([.init(start: start, end: end, step: step)])
      let found = try Self.numbers(op, Self.f((0..<length).map(Double.init)))
      #expect(found == wanted, "range(\(length))[\(String(describing: start)):\(String(describing: end)):\(step)]")
    }
    for edge in [Int.min, Int.max] {
      #expect(
        try Self.numbers(Slice([.init(start: edge, end: nil, step: -1)]), Self.f([1, 2])).count == (edge > 0 ? 2 : 0))
      #expect(
        try Self.numbers(Slice([.init(start: nil, end: edge, step: Int.max)]), Self.f([1, 2])).count
          == (edge > 0 ? 1 : 0))
      #expect(try Self.numbers(Slice([.init(start: 1, end: nil, step: edge)]), Self.f([1, 2])) == [2])
    }
  }

  /// A symbolic length: the result is an expression, and right for every length that is long enough.
  @Test func slicesOfSymbolicLengths() throws {
    for range in [
      Slice.Range(start: 1), .init(end: -1), .init(start: 2, end: -1, step: 2), .init(start: -3), .init(step: -1),
      .init(start: -2, end: 0, step: -2),
      .init(start: 1, end: 3), .init(end: 2), .all,
    ] {
      let op = Slice([range])
      let symbolic = try op.infer([TensorType(.float32, [.symbol("n")])])[0]
      for length in 4...9 {
        let fixed = try op.infer([TensorType(.float32, [Dim(length)])])[0]
        #expect(symbolic.substituting(["n": length]) == fixed, "\(range) \(symbolic) \(length)")
      }
    }
  }
}
