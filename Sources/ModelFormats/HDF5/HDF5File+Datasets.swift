import CHDF5
import TensorModule

/// What a dataset declares, checked against what the file can hold.
struct HDF5Dataset {
  var path: String
  var dtype: DType
  var shape: Shape
  /// Whether its elements are 2-byte opaque and nothing in the file says what they are. Of numbers only bfloat16 is
  /// stored so; whoever reads it must know that it is meant.
  var isUnmarked = false
}

extension HDF5File {
  /// Deflate cannot do better than this; it bounds what a compressed dataset may declare.
  private static let deflateRatio = 1032
  private static let slack = 64 << 10

  /// Type and shape of a dataset, without reading it.
  ///
  /// - Throws: as `read`.
  func dataset(_ path: String, allowingUnmarked: Bool = false) throws -> HDF5Dataset {
    try HDF5Library.locked {
      let object = try open(path)
      return try HDF5File.known(try check(object, path).dataset, allowingUnmarked)
    }
  }

  private static func known(_ dataset: HDF5Dataset, _ allowingUnmarked: Bool) throws -> HDF5Dataset {
    guard allowingUnmarked || !dataset.isUnmarked else {
      throw KilnError(.badInput, "holds opaque bytes, not numbers", at: [dataset.path])
    }
    return dataset
  }

  /// Reads a dataset of numbers; big-endian elements are converted.
  ///
  /// This is the only place that reads a dataset. Before any allocation: every component of the path is a hard link; the
  /// layout is compact, contiguous or chunked, without external files; filters are deflate, shuffle and fletcher32 only;
  /// elements are floats or integers (or 2-byte opaque with the attribute dtype `bfloat16`, or without where the caller
  /// knows it: `allowingUnmarked`); the rank is at most 8; and
  /// the declared size is within the budget and within what the stored bytes can hold.
  ///
  /// - Throws: `KilnError` (`badInput`) that names the dataset.
  func read(_ path: String, allowingUnmarked: Bool = false) throws -> Tensor {
    try HDF5Library.locked {
      let object = try open(path)
      let (declared, bytes) = try check(object, path)
      let dataset = try HDF5File.known(declared, allowingUnmarked)
      try spend(bytes, at: path)
      let type = try memoryType(dataset.dtype, object, path)
      if let tensor = inPlace(object, dataset, bytes, type) { return tensor }
      return try Tensor(dtype: dataset.dtype, shape: dataset.shape) { memory in
        guard bytes > 0 else { return }
        guard kiln_h5d_read(object.id, type.id, memory.baseAddress) >= 0 else {
          throw KilnError(.badInput, "cannot be read (damaged, cut off, or its checksum does not match)", at: [path])
        }
      }
    }
  }

  /// Below this size an array is copied; one whose elements are not aligned in the file, as in most archives, below the
  /// second size.
  private static let smallestMapping = (aligned: 64 << 10, unaligned: 1 << 20)

  /// The array where it lies in the file; nil when it is not there as it is in memory: chunked, of another byte order.
  private func inPlace(
    _ object: borrowing HDF5Handle, _ dataset: HDF5Dataset, _ bytes: Int, _ memoryType: borrowing HDF5Handle
  ) -> Tensor? {
    guard bytes >= HDF5File.smallestMapping.aligned, let list = HDF5Handle(H5Dget_create_plist(object.id)), let type = HDF5Handle(H5Dget_type(object.id)),
      H5Pget_layout(list.id) == H5D_CONTIGUOUS, H5Pget_nfilters(list.id) == 0, H5Tequal(type.id, memoryType.id) > 0,
      Int(clamping: H5Dget_storage_size(object.id)) == bytes
    else { return nil }
    // All ones means that there is no such place.
    let offset = H5Dget_offset(object.id)
    guard offset != haddr_t.max, let start = Int(exactly: offset), let file = mapped(), start <= file.bytes.count - bytes,
      let address = file.bytes.baseAddress.map({ $0 + start }),
      Int(bitPattern: address) % dataset.dtype.byteCount == 0 || bytes >= HDF5File.smallestMapping.unaligned
    else { return nil }
    return Tensor(dtype: dataset.dtype, shape: dataset.shape, address: address, owner: file.owner)
  }

  private func check(_ object: borrowing HDF5Handle, _ path: String) throws -> (dataset: HDF5Dataset, bytes: Int) {
    func refused(_ message: String) -> KilnError { KilnError(.badInput, message, at: [path]) }
    guard H5Iget_type(object.id) == H5I_DATASET else { throw refused("is a group where an array is expected") }
    guard let list = HDF5Handle(H5Dget_create_plist(object.id)), let type = HDF5Handle(H5Dget_type(object.id)),
      let space = HDF5Handle(H5Dget_space(object.id))
    else { throw refused("cannot be opened (damaged)") }
    let layout = H5Pget_layout(list.id)
    guard layout == H5D_COMPACT || layout == H5D_CONTIGUOUS || layout == H5D_CHUNKED else {
      throw refused(
        layout == H5D_VIRTUAL
          ? "is a virtual dataset over other files; those are not followed" : "has an unknown layout")
    }
    guard H5Pget_external_count(list.id) == 0 else {
      throw refused("keeps its data in another file; those are not followed")
    }
    let isDeflated = try checkFilters(list, refused)
    guard H5Sis_simple(space.id) > 0, H5Sget_simple_extent_type(space.id) != H5S_NULL else {
      throw refused("has no usable shape")
    }
    let rank = Int(H5Sget_simple_extent_ndims(space.id))
    guard (0...maximumRank).contains(rank) else {
      throw refused("has \(rank) dimensions; at most \(maximumRank) are read")
    }
    var lengths = [hsize_t](repeating: 0, count: maximumRank)
    guard H5Sget_simple_extent_dims(space.id, &lengths, nil) == Int32(rank) else {
      throw refused("has no usable shape")
    }
    let shape = lengths.prefix(rank).compactMap { Int(exactly: $0) }
    let isUnmarked = try H5Tget_class(type.id) == H5T_OPAQUE && H5Tget_size(type.id) == 2 && !isBrainFloat(object)
    let dtype = try elementType(type, refused)
    guard shape.count == rank, let bytes = checkedProduct(shape + [dtype.byteCount]), bytes < 1 << 46 else {
      throw refused("declares an impossible size")
    }
    let stored = Int(clamping: H5Dget_storage_size(object.id))
    guard stored <= size else { throw refused("stores more bytes than the file has") }
    let possible = isDeflated ? stored.multipliedReportingOverflow(by: HDF5File.deflateRatio).partialValue : stored
    guard bytes <= possible + HDF5File.slack else {
      throw refused("declares \(ByteCount.text(bytes)) but stores \(ByteCount.text(stored))")
    }
    guard bytes <= budget else {
      throw refused("declares \(ByteCount.text(bytes)); the limit is \(ByteCount.text(budget))")
    }
    if layout == H5D_CHUNKED {
      var chunk = [hsize_t](repeating: 0, count: maximumRank)
      guard H5Pget_chunk(list.id, Int32(maximumRank), &chunk) == Int32(rank),
        let chunkBytes = checkedProduct(chunk.prefix(rank).map { Int(clamping: $0) } + [dtype.byteCount]),
        chunkBytes <= max(bytes, 1 << 20)
      else { throw refused("has chunks larger than itself") }
    }
    return (HDF5Dataset(path: path, dtype: dtype, shape: shape, isUnmarked: isUnmarked), bytes)
  }

  /// Whether deflate is among the filters.
  private func checkFilters(_ list: borrowing HDF5Handle, _ refused: (String) -> KilnError) throws -> Bool {
    let count = H5Pget_nfilters(list.id)
    guard (0...8).contains(count) else { throw refused("has \(count) filters") }
    var isDeflated = false
    for index in 0..<UInt32(count) {
      switch kiln_h5p_filter(list.id, index) {
      case 1: isDeflated = true
      case 2, 3: break
      case let filter: throw refused("uses the HDF5 filter \(filter); only deflate, shuffle and fletcher32 are read")
      }
    }
    return isDeflated
  }

  private func elementType(
    _ type: borrowing HDF5Handle, _ refused: (String) -> KilnError
  ) throws -> DType {
    let width = H5Tget_size(type.id)
    switch H5Tget_class(type.id) {
    case H5T_FLOAT:
      guard H5Tget_precision(type.id) == width * 8 else {
        throw refused("holds floats of \(H5Tget_precision(type.id)) bits")
      }
      switch width {
      case 2: return .float16
      case 4: return .float32
      case 8: return .float64
      default: throw refused("holds floats of \(width) bytes")
      }
    case H5T_INTEGER:
      // Unsigned integers that have no dtype of their own are widened.
      let isUnsigned = H5Tget_sign(type.id) == H5T_SGN_NONE
      guard H5Tget_precision(type.id) == width * 8 else {
        throw refused("holds integers of \(H5Tget_precision(type.id)) bits")
      }
      switch width {
      case 1: return isUnsigned ? .uint8 : .int8
      case 2: return isUnsigned ? .int32 : .int16
      case 4: return isUnsigned ? .int64 : .int32
      case 8: return .int64
      default: throw refused("holds integers of \(width) bytes")
      }
    case H5T_OPAQUE:
      guard width == 2 else { throw refused("holds opaque bytes, not numbers") }
      return .bfloat16
    default: throw refused("holds neither floats nor integers")
    }
  }

  private func isBrainFloat(_ object: borrowing HDF5Handle) throws -> Bool {
    guard H5Aexists(object.id, "dtype") > 0, let attribute = HDF5Handle(kiln_h5a_open(object.id, "dtype")),
      let type = HDF5Handle(H5Aget_type(attribute.id)), H5Tget_class(type.id) == H5T_STRING,
      let space = HDF5Handle(H5Aget_space(attribute.id)), H5Sget_simple_extent_npoints(space.id) == 1
    else { return false }
    if H5Tis_variable_str(type.id) > 0 {
      var pointer: UnsafeMutablePointer<CChar>?
      guard H5Aread(attribute.id, type.id, &pointer) >= 0, let text = pointer else { return false }
      defer { _ = kiln_h5d_reclaim(type.id, space.id, &pointer) }
      return String(cString: text) == "bfloat16"
    }
    let width = H5Tget_size(type.id)
    guard (1...64).contains(width) else { return false }
    var bytes = [UInt8](repeating: 0, count: width)
    guard H5Aread(attribute.id, type.id, &bytes) >= 0 else { return false }
    return bytes.prefix { $0 != 0 }.elementsEqual("bfloat16".utf8)
  }

  private func memoryType(_ dtype: DType, _ object: borrowing HDF5Handle, _ path: String) throws -> HDF5Handle {
    let id: hid_t =
      switch dtype {
      case .float32: H5Tcopy(kiln_h5t_native_float())
      case .float64: H5Tcopy(kiln_h5t_native_double())
      case .float16: kiln_h5t_float16()
      case .bfloat16: H5Dget_type(object.id)
      case .int8: H5Tcopy(kiln_h5t_native_int8())
      case .int16: H5Tcopy(kiln_h5t_native_int16())
      case .int32: H5Tcopy(kiln_h5t_native_int32())
      case .int64: H5Tcopy(kiln_h5t_native_int64())
      case .uint8: H5Tcopy(kiln_h5t_native_uint8())
      case .bool, .string: -1
      }
    guard let type = HDF5Handle(id) else {
      throw KilnError(.badInput, "has an element type that cannot be read", at: [path])
    }
    return type
  }
}
