import CGraphSchemas
import TensorModule

/// The variables of a checkpoint of the second format: `PREFIX.index`, a sorted table with an entry for each tensor, and
/// `PREFIX.data-00000-of-00001`, … with their bytes.
///
/// Tensors are mapped, not copied, where a graph has the same layout.
final class TensorBundle: VariableStore {
  private struct Entry {
    var type: TFDataType
    var shape: Shape
    var shard: Int
    var offset: Int
    var size: Int
    var checksum: UInt32
    var slices: [TensorSlice]
  }

  private let prefix: String
  private let table: SortedTable
  private let places: [[UInt8]: Int]
  private var shardCount = 1
  private var isBigEndian = false
  private var shards: [Int: MappedFile] = [:]
  private var checkedShards: Set<Int> = []

  private static let maximumShards = 100_000

  /// - Throws: `KilnError` (`badInput`) when the index is damaged.
  init(prefix: String) throws {
    self.prefix = prefix
    let name = FilePath.name(of: prefix) + ".index"
    do {
      table = try SortedTable(try FilePath.map(prefix + ".index", "the checkpoint's index"))
      places = Dictionary(table.entries.enumerated().map { ($1.key, $0) }, uniquingKeysWith: { $1 })
      guard let header = table.entries.first, header.key.isEmpty else { throw KilnError(.badInput, "has no header") }
      let message = try ParsedMessage<Tf__BundleHeaderProto>(
        header.value.bytes, kiln_tf_bundle_header(), what: "header of a checkpoint")
      try message.withFields { header in
        guard header.num_shards >= 1, header.num_shards <= TensorBundle.maximumShards else {
          throw KilnError(.badInput, "declares \(header.num_shards) shards")
        }
        shardCount = Int(header.num_shards)
        isBigEndian = header.endianness == TF__BUNDLE_HEADER_PROTO__ENDIANNESS__BIG
        if let version = header.version?.pointee, version.min_consumer > 1 {
          throw KilnError(.unsupportedModel, "needs a reader of checkpoints of version \(version.min_consumer); 1 is read")
        }
      }
    } catch let error as KilnError { throw error.inside(name) }
  }

  var names: [String] {
    table.entries.dropFirst().compactMap { $0.key.first == 0 ? nil : String(validating: $0.key, as: UTF8.self) }
  }

  func contains(_ name: String) -> Bool { places[Array(name.utf8)] != nil && !name.isEmpty }

  func tensor(_ name: String, slice: TensorSlice?) throws -> Tensor {
    do {
      guard !name.isEmpty, let entry = try entry(Array(name.utf8)) else {
        throw KilnError(
          .badInput, "the checkpoint has no variable of this name",
          hint: Nearest.name(to: name, among: names).map { "did you mean \(KilnError.quoted($0))?" })
      }
      guard entry.slices.isEmpty else { return try partitioned(name, entry, slice) }
      let whole = try load(entry)
      guard let slice else { return whole }
      guard whole.dtype != .string, let ranges = slice.ranges(in: whole.shape) else {
        throw KilnError(.badInput, "the wanted slice does not fit into its shape \(whole.shape.shapeText)")
      }
      return ranges.map(\.count) == whole.shape ? whole : try whole.box(ranges)
    } catch let error as KilnError { throw error.inside(KilnError.escaped(name)) }
  }

  private func entry(_ key: [UInt8]) throws -> Entry? {
    guard let place = places[key] else { return nil }
    let message = try ParsedMessage<Tf__BundleEntryProto>(
      table.entries[place].value.bytes, kiln_tf_bundle_entry(), what: "entry of a checkpoint")
    return try message.withFields { entry in
      let shape = try TFShape.stored(entry.shape)
      guard entry.shard_id >= 0, entry.shard_id < shardCount else {
        throw KilnError(.badInput, "lies in shard \(entry.shard_id) of \(shardCount)")
      }
      guard let offset = Int(exactly: entry.offset), let size = Int(exactly: entry.size), offset >= 0, size >= 0 else {
        throw KilnError(.badInput, "has the impossible place \(entry.offset), \(entry.size)")
      }
      return Entry(
        type: TFDataType(entry.dtype), shape: shape, shard: Int(entry.shard_id), offset: offset, size: size,
        checksum: entry.crc32c, slices: try Repeated.messages(entry.slices, entry.n_slices).map { try TensorSlice($0.pointee) })
    }
  }

  /// A partitioned variable, or one of its parts as it is stored.
  private func partitioned(_ name: String, _ whole: Entry, _ slice: TensorSlice?) throws -> Tensor {
    let part = slice.flatMap { whole.slices.contains($0) ? $0 : nil }
    if let part {
      guard let entry = try entry(part.key(of: name)), part.ranges(in: whole.shape)?.map(\.count) == entry.shape else {
        throw KilnError(.badInput, "a part of the variable is missing or has the wrong shape")
      }
      return try load(entry)
    }
    return try SlicedTensor.assemble(name, whole.type, whole.shape, whole.slices, slice) { part in
      guard let entry = try self.entry(part.key(of: name)), entry.slices.isEmpty else {
        throw KilnError(.badInput, "a part of the variable is missing")
      }
      return try self.load(entry)
    }
  }

  // MARK: Bytes

  private func load(_ entry: Entry) throws -> Tensor {
    guard let dtype = entry.type.dtype else {
      throw KilnError(.unsupportedModel, "a variable of type \(entry.type.name) is not supported")
    }
    let file = try shard(entry.shard)
    guard entry.size <= file.bytes.count, entry.offset <= file.bytes.count - entry.size else {
      throw KilnError(
        .badInput, "\(entry.size) bytes at \(entry.offset) lead out of shard \(entry.shard) of \(file.bytes.count) bytes")
    }
    let bytes = UnsafeRawBufferPointer(rebasing: file.bytes[entry.offset..<entry.offset + entry.size])
    if dtype == .string { return try strings(bytes, entry) }
    guard let element = entry.type.storedBytes, checkedProduct(entry.shape + [element]) == entry.size else {
      throw KilnError(
        .badInput, "stores \(entry.size) bytes for \(entry.type.name)\(entry.shape.shapeText)")
    }
    guard CRC32C.masked(bytes) == entry.checksum else {
      throw KilnError(.badInput, "the checksum of its bytes is wrong; the file is damaged")
    }
    if !isBigEndian { return try StoredElements.tensor(bytes, entry.type, entry.shape, owner: file) }
    var swapped = [UInt8](bytes)
    for start in stride(from: 0, to: swapped.count, by: element) { swapped[start..<start + element].reverse() }
    let memory = try MappedFile(path: file.path, contents: swapped)
    return try StoredElements.tensor(memory.bytes, entry.type, entry.shape, owner: memory)
  }

  /// The lengths as varints, their checksum, then the texts one after the other.
  private func strings(_ bytes: UnsafeRawBufferPointer, _ entry: Entry) throws -> Tensor {
    guard let count = checkedProduct(entry.shape), count <= bytes.count else {
      throw KilnError(.badInput, "stores \(entry.size) bytes for string\(entry.shape.shapeText)")
    }
    var reader = WireReader(bytes)
    var crc = CRC32C()
    var lengths: [UInt64] = []
    for _ in 0..<count {
      let length = try reader.varint()
      lengths.append(length)
      if let short = UInt32(exactly: length) {
        crc.add(short)
      } else {
        withUnsafeBytes(of: length.littleEndian) { crc.add($0) }
      }
    }
    let place = try reader.take(4)
    let stored = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: place.lowerBound, as: UInt32.self))
    guard stored == crc.masked || isBigEndian else { throw KilnError(.badInput, "the checksum of its lengths is wrong; the file is damaged") }
    crc.add(UnsafeRawBufferPointer(rebasing: bytes[place]))
    crc.add(UnsafeRawBufferPointer(rebasing: bytes[place.upperBound...]))
    guard crc.masked == entry.checksum || isBigEndian else {
      throw KilnError(.badInput, "the checksum of its bytes is wrong; the file is damaged")
    }
    let texts = try lengths.map { ByteString(bytes[try reader.take($0)]) }
    guard reader.isAtEnd else { throw KilnError(.badInput, "its texts do not fill its bytes") }
    return Tensor(strings: texts, shape: entry.shape)
  }

  /// A shard, mapped when first needed; its tensors must not lie over each other.
  private func shard(_ number: Int) throws -> MappedFile {
    if let file = shards[number] { return file }
    func padded(_ number: Int) -> String {
      let digits = String(number)
      return String(repeating: "0", count: max(0, 5 - digits.count)) + digits
    }
    let path = "\(prefix).data-\(padded(number))-of-\(padded(shardCount))"
    let file = try FilePath.map(path, "the checkpoint's data")
    if checkedShards.isEmpty { try checkOverlaps() }
    shards[number] = file
    checkedShards.insert(number)
    return file
  }

  private func checkOverlaps() throws {
    var ranges: [(shard: Int, start: Int, end: Int)] = []
    for place in table.entries.dropFirst() {
      guard let entry = try entry(place.key), entry.slices.isEmpty, entry.size > 0 else { continue }
      let (end, overflow) = entry.offset.addingReportingOverflow(entry.size)
      guard !overflow else { throw KilnError(.badInput, "a tensor has an impossible place") }
      ranges.append((entry.shard, entry.offset, end))
    }
    ranges.sort { ($0.shard, $0.start, $0.end) < ($1.shard, $1.start, $1.end) }
    for (one, next) in zip(ranges, ranges.dropFirst()) {
      guard one.shard != next.shard || one.end <= next.start || (one.start == next.start && one.end == next.end) else {
        throw KilnError(.badInput, "two tensors of the checkpoint lie over each other")
      }
    }
  }
}
