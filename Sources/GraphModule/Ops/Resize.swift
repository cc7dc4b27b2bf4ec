import TensorModule

/// Images at another size, by the nearest pixel or by linear interpolation along each spatial axis.
package struct Resize: OpDefinition, SymbolicAttributes {
  package static let name = "resize"
  package static let summary =
    "x [batch, spatial..., channels] at the spatial dims `dims`, which may hold the inputs' symbols; half_pixel is `tf.image.resize`"

  package enum Mode: String, Sendable, CaseIterable {
    case nearest, bilinear
  }

  /// Where position i of the result lies in x.
  package enum Coordinates: String, Sendable, CaseIterable {
    /// (i + ½) · in / out − ½.
    case halfPixel = "half_pixel"
    /// i · (in − 1) / (out − 1).
    case alignCorners = "align_corners"
    /// i · in / out.
    case asymmetric
  }

  /// Which pixel `nearest` takes for a position.
  package enum Rounding: String, Sendable, CaseIterable {
    /// The pixel that holds the position: ⌊(i + ½) · in / out⌋ with half pixels (TensorFlow), else ⌊position⌋.
    case floor
    /// The nearest; the lower one of two.
    case preferFloor = "prefer_floor"
    case ceil
  }

  package var mode: Mode
  package var coordinates: Coordinates
  package var rounding: Rounding
  /// The spatial dims of the result.
  package var dims: [Dim]

  package init(_ mode: Mode, coordinates: Coordinates = .halfPixel, rounding: Rounding = .floor, dims: [Dim]) {
    self.mode = mode
    self.coordinates = coordinates
    self.rounding = rounding
    self.dims = dims
  }

  package var attributes: Attributes {
    [
      ("mode", .word(mode.rawValue)), ("coordinates", .word(coordinates.rawValue)),
      ("rounding", .word(rounding.rawValue)),
      ("dims", .dims(dims)),
    ]
  }

  package init(from reader: inout AttributeReader) throws {
    mode = try reader.choice("mode")
    coordinates = try reader.choice("coordinates")
    rounding = try reader.choice("rounding")
    dims = try reader.dims("dims")
  }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 1...1, Self.name)
    let x = inputs[0]
    try Expect.rank(x, 3...5, Self.name, "the input")
    if mode == .bilinear { try Expect.float(x, Self.name, "the input of bilinear") }
    try Expect.that(dims.count == x.rank - 2, Self.name, "\(dims.count) spatial dims for \(x.message)")
    for (from, to) in zip(x.dims[1...], dims) {
      try Expect.that((0...Window.limit).contains(to.fixed ?? 0), Self.name, "a spatial dim is out of range: \(to)")
      try Expect.that((0...Window.limit).contains(from.fixed ?? 0), Self.name, "\(x.message) is too large")
      try Expect.that(from.fixed != 0 || to.fixed == 0, Self.name, "\(x.message) has no pixel to take")
    }
    return [TensorType(x.dtype, [x.dims[0]] + dims + [x.dims[x.rank - 1]])]
  }

  package func substituting(_ bindings: [String: Int]) -> Resize {
    Resize(mode, coordinates: coordinates, rounding: rounding, dims: dims.map { $0.substituting(bindings) })
  }

  /// The pixel that position `index` of `output` takes from an axis of `input` pixels, by `nearest`.
  package func nearestSource(_ index: Int, input: Int, output: Int) -> Int {
    // The position as a fraction, so that no rounding moves it over a border.
    var (numerator, denominator) = fraction(index, input: input, output: output)
    if coordinates == .halfPixel && rounding == .floor { numerator += denominator / 2 }
    let source =
      switch rounding {
      case .floor: Self.floorDivide(numerator, denominator)
      case .preferFloor: -Self.floorDivide(denominator - 2 * numerator, 2 * denominator)
      case .ceil: -Self.floorDivide(-numerator, denominator)
      }
    return min(max(source, 0), input - 1)
  }

  /// The two pixels that position `index` lies between, and the weight of the second, by `bilinear`.
  package func linearSource(_ index: Int, input: Int, output: Int) -> (low: Int, high: Int, weight: Double) {
    let (numerator, denominator) = fraction(index, input: input, output: output)
    let position = min(max(Double(numerator) / Double(denominator), 0), Double(input - 1))
    let low = Int(position)
    return (low, min(low + 1, input - 1), position - Double(low))
  }

  /// The position in x, as a numerator and an even denominator.
  private func fraction(_ index: Int, input: Int, output: Int) -> (Int, Int) {
    switch coordinates {
    case .halfPixel: ((2 * index + 1) * input - output, 2 * output)
    case .alignCorners: output > 1 ? (2 * index * (input - 1), 2 * (output - 1)) : (0, 2)
    case .asymmetric: (2 * index * input, 2 * output)
    }
  }

  private static func floorDivide(_ a: Int, _ b: Int) -> Int { a >= 0 ? a / b : -((-a + b - 1) / b) }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let shape = try Expect.shape(outputs[0], Self.name)
    let from = inputs[0].shape
    let strides = from.rowMajorStrides
    let spatial = 1..<(shape.count - 1)
    if mode == .nearest {
      let offsets = shape.indices.map { axis in
        (0..<shape[axis]).map {
          (spatial.contains(axis) ? nearestSource($0, input: from[axis], output: shape[axis]) : $0) * strides[axis]
        }
      }
      return [inputs[0].arranged(shape, offsets)]
    }
    // One axis after the other.
    var (current, values) = (from, inputs[0].numbers)
    for axis in spatial {
      let (outer, length, inner) = Axes.split(current, at: axis)
      current[axis] = shape[axis]
      var next: [Double] = []
      next.reserveCapacity(current.elementCount)
      let sources = (0..<shape[axis]).map { linearSource($0, input: length, output: shape[axis]) }
      for row in 0..<outer {
        for (low, high, weight) in sources {
          for column in 0..<inner {
            let a = values[(row * length + low) * inner + column]
            let b = values[(row * length + high) * inner + column]
            next.append(weight == 0 ? a : a + (b - a) * weight)
          }
        }
      }
      values = next
    }
    return [ReferenceTensor(outputs[0].dtype, shape, .floats(values))]
  }

  package static var examples: [OpExample] {
    func f(_ dims: [Dim]) -> TensorType { TensorType(.float32, dims) }
    var list: [OpExample] = []
    for mode in Mode.allCases {
      for coordinates in Coordinates.allCases {
        for rounding in mode == .nearest ? Rounding.allCases : [.floor] {
          func op(_ dims: [Dim]) -> Resize { Resize(mode, coordinates: coordinates, rounding: rounding, dims: dims) }
          list += [
            OpExample(op([6, 10]), [f([2, 3, 5, 3])]), OpExample(op([4, 3]), [f([1, 7, 8, 17])]),
            OpExample(op([1]), [f([1, 5, 2])]), OpExample(op([7]), [f([2, 1, 1])]),
            OpExample(op([3, 4, 5]), [f([1, 2, 3, 5, 2])]),
          ]
        }
      }
      list += [
        OpExample(Resize(mode, dims: [4, 4]), [f([0, 2, 2, 3])]),
        OpExample(Resize(mode, dims: [0, 4]), [f([1, 2, 2, 3])]),
      ]
    }
    list.append(OpExample(Resize(.nearest, dims: [4, 6]), [TensorType(.uint8, [1, 2, 3, 1])], range: 0...255))
    return list
  }
}
