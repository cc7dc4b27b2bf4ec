import Synchronization

/// The safetensors container: an 8-byte header length, a JSON header, tensor bytes without holes or overlap.
/// Source: the format section of the safetensors README.
package enum Safetensors {
  package static let maximumHeader = 100 << 20

  /// A stored tensor.
  package struct Entry: Sendable {
    package let name: String
    package let dtype: DType
    package let shape: Shape
    /// Where the bytes lie in the file.
    package let range: Range<Int>
  }

  package struct Header: Sendable {
    package let entries: [Entry]
    package let metadata: [String: String]
  }

  static let dtypeNames: [(DType, String)] = [
    (.float32, "F32"), (.float64, "F64"), (.float16, "F16"), (.bfloat16, "BF16"), (.int8, "I8"), (.int16, "I16"),
    (.int32, "I32"), (.int64, "I64"), (.uint8, "U8"), (.bool, "BOOL"),
  ]

  /// Reads and checks the header: lengths, dtypes, sizes, and that the tensors fill the file exactly.
  package static func readHeader(_ bytes: UnsafeRawBufferPointer) throws -> Header {
    let reader = ByteReader(bytes)
    let length = try reader.int64(0)
    guard length >= 2, length <= maximumHeader, length <= bytes.count - 8 else {
      throw KilnError(.badInput, "is not a .kiln file (header length \(length), file \(bytes.count) bytes)")
    }
    let json = try JSON.parse(
      UnsafeRawBufferPointer(rebasing: bytes[8..<8 + length]), limits: JSON.Limits(depth: 8, bytes: maximumHeader))
    guard let object = json.objectValue else { throw KilnError(.badInput, "the header is not a JSON object") }
    var metadata: [String: String] = [:]
    var entries: [Entry] = []
    for (name, value) in object.entries {
      if name == "__metadata__" {
        for (key, text) in value.objectValue?.entries ?? [] { metadata[key] = text.stringValue }
      } else {
        entries.append(try entry(name, value, dataStart: 8 + length, fileSize: bytes.count))
      }
    }
    var position = 8 + length
    for entry in entries.sorted(by: { ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound) }) {
      guard entry.range.lowerBound == position else {
        throw KilnError(.badInput, "tensor \(KilnError.quoted(entry.name)) leaves a hole or overlaps another")
      }
      position = entry.range.upperBound
    }
    guard position == bytes.count else {
      throw KilnError(.badInput, "tensors end at byte \(position), the file at \(bytes.count)")
    }
    return Header(entries: entries, metadata: metadata)
  }

  private static func entry(_ name: String, _ value: JSON, dataStart: Int, fileSize: Int) throws -> Entry {
    let where_ = "tensor \(KilnError.quoted(name))"
    guard let dtypeName = value["dtype"]?.stringValue, let dtype = dtypeNames.first(where: { $0.1 == dtypeName })?.0 else {
      throw KilnError(.badInput, "\(where_) has no known dtype")
    }
    let dims = value["shape"]?.arrayValue?.compactMap(\.intValue) ?? []
    guard dims.count == value["shape"]?.arrayValue?.count, dims.count <= maximumRank,
      let size = checkedProduct(dims + [dtype.byteCount])
    else { throw KilnError(.badInput, "\(where_) has no valid shape") }
    let offsets = value["data_offsets"]?.arrayValue?.compactMap(\.intValue) ?? []
    guard offsets.count == 2, offsets[0] >= 0, offsets[1] >= offsets[0], offsets[1] <= fileSize - dataStart else {
      throw KilnError(.badInput, "\(where_) lies outside the file")
    }
    guard offsets[1] - offsets[0] == size else {
      throw KilnError(.badInput, "\(where_) has \(offsets[1] - offsets[0]) bytes, \(dtype.name)\(dims.shapeText) needs \(size)")
    }
    return Entry(name: name, dtype: dtype, shape: dims, range: dataStart + offsets[0]..<dataStart + offsets[1])
  }

  /// A tensor over its bytes in a mapped file, or a copy where they are not aligned to its elements.
  package static func tensor(_ entry: Entry, in file: MappedFile) throws -> Tensor {
    let bytes = UnsafeRawBufferPointer(rebasing: file.bytes[entry.range])
    guard let address = bytes.baseAddress, Int(bitPattern: address) % max(entry.dtype.byteCount, 1) == 0, !bytes.isEmpty else {
      return try Tensor(dtype: entry.dtype, shape: entry.shape) { $0.copyMemory(from: bytes) }
    }
    return Tensor(dtype: entry.dtype, shape: entry.shape, address: address, owner: file)
  }

  /// Writes tensors and metadata, on several threads. Tensors of a multiple of 64 bytes come first, so that they are 64-byte
  /// aligned; the rest follow by falling element size, so that every element is aligned. Each tensor is read once, a piece at a time.
  ///
  /// - Parameters:
  ///   - isLast: names of tensors that come after all others.
  ///   - metadata: what goes beside the tensors, given the XXH64 of each by its name; as long with any hashes.
  /// - Throws: `KilnError` (`failed`) when the disk is full or the header too large.
  package static func write(
    _ tensors: [(name: String, tensor: Tensor)], isLast: (String) -> Bool = { _ in false }, to file: inout AtomicFile,
    metadata: ([String: String]) -> [(String, String)]
  ) throws {
    func key(_ position: Int, _ name: String, _ tensor: Tensor) -> (Int, Int, Int, Int) {
      (isLast(name) ? 1 : 0, tensor.byteCount % 64 == 0 ? 0 : 1, -tensor.dtype.byteCount, position)
    }
    let ordered = tensors.enumerated().sorted { a, b in
      key(a.offset, a.element.name, a.element.tensor) < key(b.offset, b.element.name, b.element.tensor)
    }.map(\.element)
    let unknown = XXH64().text
    var hashes = Dictionary(ordered.map { ($0.name, unknown) }, uniquingKeysWith: { first, _ in first })
    let size = try header(ordered, metadata(hashes)).count
    var starts: [Int] = []
    var end = size
    for (_, tensor) in ordered {
      starts.append(end)
      end += tensor.byteCount
    }
    let (places, begins) = (file.places, starts)
    let found = Mutex<[String: String]>([:])
    try ParallelWork.forEach(ordered.count, bytes: end - size) { index in
      let (name, tensor) = ordered[index]
      var hash = XXH64()
      var place = begins[index]
      try tensor.forEachPiece { piece in
        hash.add(piece)
        try places.write(piece, at: place)
        place += piece.count
      }
      let text = hash.text
      found.withLock { $0[name] = text }
    }
    hashes = found.withLock { $0 }
    let text = try header(ordered, metadata(hashes))
    guard text.count == size else { throw KilnError(.internal, "the header of a .kiln file changes its length with the hashes") }
    try text.withUnsafeBytes { try places.write($0, at: 0) }
  }

  /// What stands before the tensors' bytes.
  private static func header(_ tensors: [(name: String, tensor: Tensor)], _ metadata: [(String, String)]) throws -> [UInt8] {
    var header = JSONObject()
    header["__metadata__"] = .object(JSONObject(metadata.map { ($0.0, .string($0.1)) }))
    var offset = 0
    for (name, tensor) in tensors {
      guard let dtypeName = dtypeNames.first(where: { $0.0 == tensor.dtype })?.1, header[name] == nil else {
        throw KilnError(.internal, "tensor \(KilnError.quoted(name)) cannot be stored")
      }
      header[name] = .object(
        JSONObject([
          ("dtype", .string(dtypeName)), ("shape", .array(tensor.shape.map { .int($0) })),
          ("data_offsets", .array([.int(offset), .int(offset + tensor.byteCount)])),
        ]))
      offset += tensor.byteCount
    }
    var text = Array(JSON.object(header).text().utf8)
    text += [UInt8](repeating: 0x20, count: (64 - (text.count + 8) % 64) % 64)
    guard text.count <= maximumHeader else { throw KilnError(.failed, "the model's graph is too large for a .kiln file") }
    var length: [UInt8] = []
    length.append64(UInt64(text.count))
    return length + text
  }
}
