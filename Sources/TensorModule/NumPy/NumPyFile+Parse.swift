extension NumPyFile {
  private static let maximumHeader = 10_000

  /// Reads the bytes of a `.npy` file.
  ///
  /// - Parameter bytesOf: what an element of an `S` array is, whose bytes NumPy fills up with NULs: without those unless given.
  /// - Throws: `KilnError` (`badInput`) for anything but one well-formed array.
  package static func parse(_ bytes: UnsafeRawBufferPointer, bytesOf: ((ArraySlice<UInt8>) -> ByteString)? = nil) throws -> Tensor {
    let reader = ByteReader(bytes)
    guard isNPY(bytes), bytes.count >= 10 else { throw bad("is not a .npy file") }
    let wide = bytes[6] >= 2
    let headerStart = wide ? 12 : 10
    let headerLength = wide ? Int(try reader.uint32(8)) : Int(try reader.uint16(8))
    guard (1...3).contains(bytes[6]), headerLength <= maximumHeader else { throw bad("has an unknown .npy header") }
    guard let header = String(validating: try reader.slice(headerStart, headerLength), as: UTF8.self) else {
      throw bad("has a .npy header that is not text")
    }
    var parser = HeaderParser(header)
    let (descriptor, fortran, shape) = try parser.parse()
    let kind = try ElementKind(descriptor)
    guard shape.count <= 32, let count = checkedProduct(shape), let size = checkedProduct([count, kind.width]) else {
      throw bad("has an impossible shape \(shape.shapeText)")
    }
    guard kind.width > 0 || count <= 1 << 16 else { throw bad("has \(count) elements without a byte") }
    guard shape.count <= maximumRank else { throw bad("has rank \(shape.count); at most \(maximumRank) is supported") }
    let data = try reader.slice(headerStart + headerLength, bytes.count - headerStart - headerLength)
    guard data.count == size else { throw bad("has \(data.count) bytes of data where its shape \(shape.shapeText) needs \(size)") }
    let tensor = try kind.tensor(data, fortran ? shape.reversed() : shape, bytesOf)
    return fortran && shape.count > 1 ? try reversingAxes(tensor) : tensor
  }

  private static func bad(_ message: String) -> KilnError { KilnError(.badInput, message) }

  /// The tensor with its axes in reverse order, which turns Fortran order into C order.
  private static func reversingAxes(_ tensor: Tensor) throws -> Tensor {
    let shape = Array(tensor.shape.reversed())
    let sourceStrides = Array(tensor.shape.rowMajorStrides.reversed())
    var order: [Int] = []
    order.reserveCapacity(tensor.count)
    var at = [Int](repeating: 0, count: shape.count)
    for _ in 0..<tensor.count {
      order.append(zip(at, sourceStrides).reduce(0) { $0 + $1.0 * $1.1 })
      for axis in shape.indices.reversed() {
        at[axis] += 1
        if at[axis] < shape[axis] { break }
        at[axis] = 0
      }
    }
    if tensor.dtype == .string { return Tensor(strings: order.map { tensor.strings[$0] }, shape: shape) }
    let width = tensor.dtype.byteCount
    return try Tensor(dtype: tensor.dtype, shape: shape) { memory in
      for (index, source) in order.enumerated() {
        for byte in 0..<width { memory[index * width + byte] = tensor.bytes[source * width + byte] }
      }
    }
  }

  /// What one element is in the file.
  private struct ElementKind {
    let swapped: Bool
    let letter: Character
    let width: Int

    init(_ descriptor: String) throws {
      if descriptor.dropFirst().first == "O" { throw bad("object arrays hold pickled Python and are not read") }
      guard let order = descriptor.first, "<>|=".contains(order), let letter = descriptor.dropFirst().first,
        let number = Int(descriptor.dropFirst(2)), (0...(1 << 24)).contains(number)
      else { throw bad("has the unknown dtype \(KilnError.quoted(descriptor))") }
      let allowed: [Character: [Int]] = ["b": [1], "i": [1, 2, 4, 8], "u": [1, 2, 4, 8], "f": [2, 4, 8]]
      guard ["S", "U", "V"].contains(letter) || allowed[letter]?.contains(number) == true else {
        throw bad("has the dtype \(KilnError.quoted(descriptor)), which is not supported")
      }
      swapped = order == ">"
      self.letter = letter
      width = letter == "U" ? number * 4 : number
    }

    func tensor(_ data: UnsafeRawBufferPointer, _ shape: Shape, _ bytesOf: ((ArraySlice<UInt8>) -> ByteString)?) throws -> Tensor {
      let count = shape.elementCount
      switch letter {
      case "V":
        return Tensor(strings: (0..<count).map { ByteString(data[$0 * width..<($0 + 1) * width]) }, shape: shape)
      case "S":
        if let bytesOf { return Tensor(strings: (0..<count).map { bytesOf(Array(data[$0 * width..<($0 + 1) * width])[...]) }, shape: shape) }
        return Tensor(strings: (0..<count).map { text8(data, $0) }, shape: shape)
      case "U":
        return Tensor(strings: try (0..<count).map { try text32(data, $0) }, shape: shape)
      case "u" where width > 1:
        let values: [Int64] = try (0..<count).map {
          guard let value = Int64(exactly: unsigned(data, $0)) else { throw bad("holds a uint64 beyond 2^63") }
          return value
        }
        return try Tensor(integers: values, dtype: width == 2 ? .int32 : .int64, shape: shape)
      default:
        let table: [String: DType] = [
          "b1": .bool, "i1": .int8, "i2": .int16, "i4": .int32, "i8": .int64, "u1": .uint8, "f2": .float16,
          "f4": .float32, "f8": .float64,
        ]
        guard let dtype = table["\(letter)\(width)"] else { throw bad("has an unknown dtype") }
        return try Tensor(dtype: dtype, shape: shape) { memory in
          memory.copyMemory(from: data)
          if swapped, width > 1 {
            for index in 0..<count { memory[index * width..<(index + 1) * width].reverse() }
          }
          if dtype == .bool { for index in memory.indices where memory[index] > 1 { memory[index] = 1 } }
        }
      }
    }

    private func unsigned(_ data: UnsafeRawBufferPointer, _ index: Int) -> UInt64 {
      (0..<width).reduce(0) { sum, byte in
        sum | UInt64(data[index * width + (swapped ? width - 1 - byte : byte)]) << UInt64(8 * byte)
      }
    }

    /// Bytes up to the padding of zeros.
    private func text8(_ data: UnsafeRawBufferPointer, _ index: Int) -> ByteString {
      var slice = data[index * width..<(index + 1) * width]
      while slice.last == 0 { slice.removeLast() }
      return ByteString(slice)
    }

    private func text32(_ data: UnsafeRawBufferPointer, _ index: Int) throws -> ByteString {
      var out = String.UnicodeScalarView()
      for character in 0..<width / 4 {
        let raw = data.loadUnaligned(fromByteOffset: index * width + 4 * character, as: UInt32.self)
        let value = swapped ? raw.byteSwapped : raw
        guard let scalar = Unicode.Scalar(value) else { throw bad("holds text that is not Unicode") }
        out.append(scalar)
      }
      while out.last == "\0" { out.removeLast() }
      return ByteString(String(out))
    }
  }

  /// The header's Python dictionary: exactly the keys `descr`, `fortran_order` and `shape`, once each.
  private struct HeaderParser {
    private var rest: Substring

    init(_ text: String) { rest = text[...] }

    mutating func parse() throws -> (String, Bool, Shape) {
      var (descriptor, fortran, shape): (String?, Bool?, Shape?) = (nil, nil, nil)
      try expect("{")
      while !accept("}") {
        let key = try string()
        try expect(":")
        switch key {
        case "descr" where descriptor == nil: descriptor = try string()
        case "fortran_order" where fortran == nil:
          if accept("True") { fortran = true } else {
            try expect("False")
            fortran = false
          }
        case "shape" where shape == nil: shape = try tuple()
        default: throw bad("has an unexpected .npy header key \(KilnError.quoted(key))")
        }
        if !accept(",") {
          try expect("}")
          break
        }
      }
      skipSpace()
      guard rest.isEmpty, let descriptor, let fortran, let shape else { throw bad("has an incomplete .npy header") }
      return (descriptor, fortran, shape)
    }

    private mutating func skipSpace() { rest = rest.drop { $0 == " " || $0 == "\n" } }

    private mutating func accept(_ text: String) -> Bool {
      skipSpace()
      guard rest.hasPrefix(text) else { return false }
      rest.removeFirst(text.count)
      return true
    }

    private mutating func expect(_ text: String) throws {
      guard accept(text) else { throw bad("has a malformed .npy header") }
    }

    private mutating func string() throws -> String {
      skipSpace()
      if rest.first == "[" { throw bad("is a structured array, which is not supported") }
      guard let quote = rest.first, quote == "'" || quote == "\"" else { throw bad("has a malformed .npy header") }
      rest.removeFirst()
      let text = rest.prefix { $0 != quote }
      rest = rest.dropFirst(text.count)
      try expect(String(quote))
      return String(text)
    }

    private mutating func tuple() throws -> Shape {
      try expect("(")
      var shape: Shape = []
      while !accept(")") {
        skipSpace()
        let digits = rest.prefix { $0.isASCII && $0.isNumber }
        guard let value = Int(digits) else { throw bad("has a malformed .npy shape") }
        rest = rest.dropFirst(digits.count)
        _ = accept("L")
        shape.append(value)
        if !accept(",") {
          try expect(")")
          break
        }
      }
      return shape
    }
  }
}
