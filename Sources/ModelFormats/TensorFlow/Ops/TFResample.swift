import GraphModule
import TensorModule

/// Resizing as one product with a matrix along each spatial axis, where sizes are known.
enum TFResample {
  /// The result of x [batch, height, width, channels] with `weights(in, out)`, row-major [out, in], along each axis.
  static func apply(
    _ call: TFCall, _ x: ValueID, _ sizes: [Dim], _ weights: (Int, Int) throws -> [Double]
  ) throws -> ValueID {
    let dims = call.type(x).dims
    guard dims.count == 4 else { throw call.wrong("needs images, found \(call.type(x).message)") }
    let (height, width) = (try call.length(x, 1), try call.length(x, 2))
    guard let rows = sizes[0].fixed, let columns = sizes[1].fixed, rows > 0, columns > 0, height > 0, width > 0,
      rows <= 1 << 16, columns <= 1 << 16, rows * height <= 1 << 26, columns * width <= 1 << 26
    else { throw call.unsupported("resizing \(call.type(x).message) to [\(sizes[0]),\(sizes[1])]") }
    let vertical = try call.numbers(try weights(height, rows), [rows, height], .float32, "vertical")
    let horizontal = try call.numbers(try weights(width, columns), [columns, width], .float32, "horizontal")
    let lines = try call.reshape(x, [dims[0], Dim(height), Dim(width) * dims[3]])
    let tall = try call.add(MatMul(), [vertical, lines], "vertical_matmul")
    let pixels = try call.reshape(tall, [dims[0] * Dim(rows), Dim(width), dims[3]])
    let wide = try call.add(MatMul(), [horizontal, pixels], "horizontal_matmul")
    return try call.reshape(wide, [dims[0], Dim(rows), Dim(columns), dims[3]])
  }

  private static func scale(_ input: Int, _ output: Int, _ alignCorners: Bool) -> Float {
    alignCorners && output > 1 ? Float(input - 1) / Float(output - 1) : Float(input) / Float(output)
  }

  /// The share of each pixel in the span that a result covers.
  static func area(_ input: Int, _ output: Int, alignCorners: Bool) throws -> [Double] {
    let step = scale(input, output, alignCorners)
    var matrix = [Double](repeating: 0, count: input * output)
    for row in 0..<output {
      let start = Float(row) * step, end = Float(row + 1) * step
      var column = Int(start.rounded(.down))
      while Float(column) < end.rounded(.up) {
        let share = Swift.min(Float(column + 1), end) - Swift.max(Float(column), start)
        matrix[row * input + Swift.min(Swift.max(column, 0), input - 1)] += Double(share / step)
        column += 1
      }
    }
    return matrix
  }

  /// Keys' cubic with 1,024 steps between pixels, as TensorFlow tabulates it.
  static func cubic(_ input: Int, _ output: Int, alignCorners: Bool, halfPixel: Bool) -> [Double] {
    let step = scale(input, output, alignCorners)
    let a: Float = halfPixel ? -0.5 : -0.75
    func inner(_ x: Float) -> Float { ((a + 2) * x - (a + 3)) * x * x + 1 }
    func outer(_ x: Float) -> Float { ((a * x - 5 * a) * x + 8 * a) * x - 4 * a }
    var matrix = [Double](repeating: 0, count: input * output)
    for row in 0..<output {
      let place = halfPixel ? (Float(row) + 0.5) * step - 0.5 : Float(row) * step
      let first = Int(place.rounded(.down))
      let table = ((place - Float(first)) * 1024).rounded(.toNearestOrEven) / 1024
      let weights = [outer(table + 1), inner(table), inner(1 - table), outer(2 - table)]
      var kept: [(Int, Float)] = []
      for (index, weight) in weights.enumerated() {
        let column = first - 1 + index
        let bounded = Swift.min(Swift.max(column, 0), input - 1)
        // With half pixels, what lies outside is left out and the rest weighted up.
        kept.append((bounded, halfPixel && bounded != column ? 0 : weight))
      }
      let sum = kept.reduce(0) { $0 + $1.1 }
      for (column, weight) in kept { matrix[row * input + column] += Double(halfPixel && sum.magnitude >= 1000 * Float.leastNormalMagnitude ? weight / sum : weight) }
    }
    return matrix
  }

  /// The kernels of `ScaleAndTranslate`.
  struct Kernel {
    let radius: Float
    let weight: (Float) -> Float

    init(_ call: TFCall, _ name: String) throws {
      func cubic(_ a: Float, _ b: Float, _ c: Float, _ d: Float, _ e: Float, _ f: Float, _ g: Float) -> (Float) -> Float {
        { x in
          let x = x.magnitude
          if x >= 2 { return 0 }
          return x >= 1 ? ((d * x + e) * x + f) * x + g : ((a * x + b) * x) * x + c
        }
      }
      func lanczos(_ radius: Float) -> (Float) -> Float {
        { x in
          let x = x.magnitude
          if x > radius { return 0 }
          if x <= 1e-3 { return 1 }
          let pi = Double.pi * Double(x)
          return Float(Double(radius) * C.sine(pi) * C.sine(pi / Double(radius)) / (pi * pi))
        }
      }
      switch name {
      case "lanczos1": (radius, weight) = (1, lanczos(1))
      case "lanczos3": (radius, weight) = (3, lanczos(3))
      case "lanczos5": (radius, weight) = (5, lanczos(5))
      case "gaussian":
        (radius, weight) = (1.5, { x in x.magnitude >= 1.5 ? 0 : Float(C.exponential(Double(-x * x / (2 * 0.25)))) })
      case "box": (radius, weight) = (1, { x in x.magnitude < 0.5 ? 1 : x.magnitude == 0.5 ? 0.5 : 0 })
      case "triangle": (radius, weight) = (1, { x in x.magnitude < 1 ? 1 - x.magnitude : 0 })
      case "keyscubic": (radius, weight) = (2, cubic(1.5, -2.5, 1, -0.5, 2.5, -4, 2))
      case "mitchellcubic": (radius, weight) = (2, cubic(7.0 / 6, -2, 8.0 / 9, -7.0 / 18, 2, -10.0 / 3, 16.0 / 9))
      default: throw call.unsupported("the kernel \(KilnError.quoted(name))")
      }
    }
  }

  private enum C {
    static func sine(_ x: Double) -> Double { ScalarFunction.sin.evaluate(x) }
    static func exponential(_ x: Double) -> Double { ScalarFunction.exp.evaluate(x) }
  }

  /// The spans of `ScaleAndTranslate` as a matrix.
  static func spans(_ input: Int, _ output: Int, scale: Double, translate: Double, _ kernel: Kernel, antialias: Bool) -> [Double] {
    let inverse = Float(1 / scale), shift = Float(translate)
    let kernelScale = antialias ? Swift.max(inverse, 1) : 1
    var matrix = [Double](repeating: 0, count: input * output)
    for row in 0..<output {
      let sample = (Float(row) + 0.5) * inverse - inverse * shift
      guard sample >= 0, sample <= Float(input) else { continue }
      let from = Swift.max(0, Int((sample - kernel.radius * kernelScale - 0.5).rounded(.up)))
      let to = Swift.min(input, Int((sample + kernel.radius * kernelScale - 0.5).rounded(.down)) + 1)
      guard from < to else { continue }
      let weights = (from..<to).map { kernel.weight((Float($0) + 0.5 - sample) / kernelScale) }
      let sum = weights.reduce(0, +)
      guard sum.magnitude >= 1000 * Float.leastNormalMagnitude else { continue }
      for (index, weight) in weights.enumerated() { matrix[row * input + from + index] = Double(weight / sum) }
    }
    return matrix
  }
}
