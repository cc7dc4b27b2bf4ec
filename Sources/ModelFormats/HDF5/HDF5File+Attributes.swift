import CHDF5
import TensorModule

extension HDF5File {
  /// The most bytes that one attribute may take.
  static let maximumAttributeSize = 64 << 20
  /// The most parts in which a list attribute may be split.
  private static let maximumParts = 100_000

  /// The text of a scalar string attribute, of fixed or variable length; nil when there is no such attribute.
  func string(_ name: String, of path: String) throws -> String? {
    guard let values = try stringValues(name, of: path) else { return nil }
    guard values.count == 1, let value = values.first else {
      throw KilnError(
        .badInput, "attribute \(KilnError.quoted(name)) holds \(values.count) strings where one is expected", at: [path]
      )
    }
    return value
  }

  /// The strings of a list attribute; nil when there is none. Keras splits a long list: `layer_names0`, `layer_names1`, …
  func strings(_ name: String, of path: String) throws -> [String]? {
    if let values = try stringValues(name, of: path) { return values }
    var all: [String] = []
    for part in 0..<HDF5File.maximumParts {
      guard let values = try stringValues("\(name)\(part)", of: path) else { return part == 0 ? nil : all }
      all += values
    }
    throw KilnError(.badInput, "attribute \(KilnError.quoted(name)) is split in too many parts", at: [path])
  }

  private func stringValues(_ name: String, of path: String) throws -> [String]? {
    try HDF5Library.locked {
      let object = try open(path)
      let found = H5Aexists(object.id, name)
      guard found != 0 else { return nil }
      func damaged(_ what: String) -> KilnError {
        KilnError(.badInput, "attribute \(KilnError.quoted(name)) \(what)", at: path.isEmpty ? [] : [path])
      }
      guard found > 0 else { throw damaged("cannot be read by the HDF5 library (damaged)") }
      guard let attribute = HDF5Handle(kiln_h5a_open(object.id, name)),
        let type = HDF5Handle(H5Aget_type(attribute.id)),
        let space = HDF5Handle(H5Aget_space(attribute.id))
      else { throw damaged("cannot be read by the HDF5 library (damaged)") }
      let extent = H5Sget_simple_extent_type(space.id)
      if extent == H5S_NULL { return [] }
      let points = H5Sget_simple_extent_npoints(space.id)
      guard let count = Int(exactly: points), count >= 0, H5Sget_simple_extent_ndims(space.id) <= 1 else {
        throw damaged("has no usable shape")
      }
      // A layer without weights has an empty float array as its list of names.
      if count == 0 { return [] }
      guard H5Tget_class(type.id) == H5T_STRING else { throw damaged("is not text") }
      let isVariable = H5Tis_variable_str(type.id) > 0
      let width = isVariable ? MemoryLayout<UnsafeMutablePointer<CChar>?>.size : H5Tget_size(type.id)
      guard width > 0, let total = checkedProduct([count, width]), total <= HDF5File.maximumAttributeSize,
        total <= max(size, 64) * 2
      else { throw damaged("is larger than the file allows") }
      let values =
        isVariable
        ? try readVariable(attribute, type, space, count: count, fail: damaged)
        : try readFixed(attribute, type, count: count, width: width, fail: damaged)
      return try values.map {
        guard let text = String(validating: $0, as: UTF8.self) else { throw damaged("is not UTF-8") }
        return text
      }
    }
  }

  private func readFixed(
    _ attribute: borrowing HDF5Handle, _ type: borrowing HDF5Handle, count: Int, width: Int, fail: (String) -> KilnError
  ) throws -> [[UInt8]] {
    var bytes = [UInt8](repeating: 0, count: count * width)
    guard bytes.withUnsafeMutableBytes({ H5Aread(attribute.id, type.id, $0.baseAddress) }) >= 0 else {
      throw fail("cannot be read by the HDF5 library (damaged)")
    }
    let isSpacePadded = H5Tget_strpad(type.id) == H5T_STR_SPACEPAD
    return (0..<count).map { index in
      var text = bytes[index * width..<(index + 1) * width]
      if isSpacePadded {
        while text.last == 0x20 { text.removeLast() }
      } else if let end = text.firstIndex(of: 0) {
        text = text[..<end]
      }
      return Array(text)
    }
  }

  private func readVariable(
    _ attribute: borrowing HDF5Handle, _ type: borrowing HDF5Handle, _ space: borrowing HDF5Handle, count: Int,
    fail: (String) -> KilnError
  ) throws -> [[UInt8]] {
    guard let memory = HDF5Handle(H5Tcopy(kiln_h5t_c_s1())), H5Tset_size(memory.id, kiln_h5t_variable()) >= 0,
      H5Tset_cset(memory.id, H5Tget_cset(type.id)) >= 0
    else { throw fail("cannot be read") }
    var pointers = [UnsafeMutablePointer<CChar>?](repeating: nil, count: count)
    let status = pointers.withUnsafeMutableBytes { H5Aread(attribute.id, memory.id, $0.baseAddress) }
    defer { pointers.withUnsafeMutableBytes { _ = kiln_h5d_reclaim(memory.id, space.id, $0.baseAddress) } }
    guard status >= 0 else { throw fail("cannot be read by the HDF5 library (damaged)") }
    var total = 0
    return try pointers.map { pointer in
      guard let pointer else { return [] }
      let length = strnlen(pointer, HDF5File.maximumAttributeSize + 1)
      total += length
      guard total <= HDF5File.maximumAttributeSize else { throw fail("is larger than 64 MB") }
      return UnsafeRawBufferPointer(start: pointer, count: length).map { $0 }
    }
  }
}

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif
