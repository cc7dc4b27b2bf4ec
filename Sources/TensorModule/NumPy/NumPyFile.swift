/// NumPy's `.npy` and `.npz` files.
///
/// Read: bool, (u)int8…64, float16/32/64 of either byte order, C or Fortran order, and `S`/`U` text and `V` bytes, which
/// become string tensors; NULs at the end of an `S` element are NumPy's filling, those of a `V` element its own. Object arrays hold pickled Python and are refused. uint16, uint32 and uint64 become int32 or int64.
package enum NumPyFile {
  /// Reads a `.npy` file.
  package static func read(npy path: String) throws -> Tensor {
    let file = try MappedFile(path: path)
    do { return try parse(file.bytes) } catch let error as KilnError { throw error.inside(path) }
  }

  /// Reads a `.npz` file: its arrays in order, names without `.npy`.
  package static func read(npz path: String, limit: Int = 8 << 30) throws -> [(name: String, tensor: Tensor)] {
    let file = try MappedFile(path: path)
    do {
      let archive = try ZipArchive(file.bytes, owner: file)
      return try archive.members.map { member in
        let data = try archive.contents(of: member, limit: limit)
        let name = member.name.hasSuffix(".npy") ? String(member.name.dropLast(4)) : member.name
        do { return (name, try data.withUnsafeBytes { try parse($0) }) } catch let error as KilnError {
          throw error.inside(member.name)
        }
      }
    } catch let error as KilnError { throw error.inside(path) }
  }

  /// Whether bytes begin as a `.npy` file does.
  package static func isNPY(_ bytes: UnsafeRawBufferPointer) -> Bool { bytes.starts(with: magic) }

  static let magic: [UInt8] = [0x93] + Array("NUMPY".utf8)

  /// Writes a tensor as a `.npy` file.
  package static func write(npy tensor: Tensor, to path: String, overwriting: Bool = true) throws {
    var file = try AtomicFile.create(path: path, overwriting: overwriting)
    let (header, data) = try encode(tensor)
    try file.write(header)
    try file.write(data.bytes)
    try file.commit()
  }

  /// Writes tensors as a `.npz` file, in order.
  package static func write(npz tensors: [(name: String, tensor: Tensor)], to path: String, overwriting: Bool = true) throws {
    var file = try AtomicFile.create(path: path, overwriting: overwriting)
    var zip = ZipWriter()
    for (name, tensor) in tensors {
      let (header, data) = try encode(tensor)
      let member = header + Array(data.bytes)
      try member.withUnsafeBytes { bytes in
        try file.write(zip.header(name: name + ".npy", data: bytes))
        try file.write(bytes)
      }
    }
    try file.write(zip.trailer())
    try file.commit()
  }

  /// The whole `.npy` file of a tensor.
  package static func bytes(_ tensor: Tensor) throws -> [UInt8] {
    let (header, data) = try encode(tensor)
    return header + Array(data.bytes)
  }

  /// The header, and a tensor whose bytes are the data. Strings are padded UTF-32, or bytes where one is not UTF-8; bfloat16, which NumPy lacks, becomes float32.
  private static func encode(_ tensor: Tensor) throws -> (header: [UInt8], data: Tensor) {
    var data = tensor
    let descriptor: String
    switch tensor.dtype {
    case .float32: descriptor = "<f4"
    case .float64: descriptor = "<f8"
    case .float16: descriptor = "<f2"
    case .bfloat16:
      descriptor = "<f4"
      data = try tensor.converted(to: .float32)
    case .int8: descriptor = "|i1"
    case .int16: descriptor = "<i2"
    case .int32: descriptor = "<i4"
    case .int64: descriptor = "<i8"
    case .uint8: descriptor = "|u1"
    case .bool: descriptor = "|b1"
    case .string: (descriptor, data) = try text(tensor.strings)
    }
    let dims = tensor.shape.map(String.init).joined(separator: ", ") + (tensor.shape.count == 1 ? "," : "")
    let text = "{'descr': '\(descriptor)', 'fortran_order': False, 'shape': (\(dims)), }"
    let padding = (64 - (10 + text.utf8.count + 1) % 64) % 64
    let body = Array(text.utf8) + [UInt8](repeating: 0x20, count: padding) + [0x0A]
    var header = magic + [1, 0]
    header.append16(UInt16(body.count))
    return (header + body, data)
  }

  /// The descriptor and the padded elements of strings: `U` when all are UTF-8, else `S`.
  private static func text(_ strings: [ByteString]) throws -> (String, Tensor) {
    guard !strings.contains(where: { $0.bytes.last == 0 }) else {
      throw KilnError(.badInput, "a string ends with a zero byte, which NumPy's files cannot hold")
    }
    let texts = strings.compactMap { $0.text?.unicodeScalars }
    guard texts.count == strings.count else {
      let width = strings.map(\.count).max() ?? 1
      let data = try Tensor(dtype: .uint8, shape: [strings.count, width]) { memory in
        for (row, string) in strings.enumerated() {
          for (column, byte) in string.bytes.enumerated() { memory[row * width + column] = byte }
        }
      }
      return ("|S\(width)", data)
    }
    let width = max(1, texts.map(\.count).max() ?? 1)
    let data = try Tensor(dtype: .int32, shape: [strings.count, width]) { memory in
      for (row, text) in texts.enumerated() {
        for (column, scalar) in text.enumerated() {
          memory.storeBytes(of: scalar.value, toByteOffset: 4 * (row * width + column), as: UInt32.self)
        }
      }
    }
    return ("<U\(width)", data)
  }
}
