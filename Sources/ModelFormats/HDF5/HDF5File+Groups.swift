import CHDF5
import TensorModule

extension HDF5File {
  /// The most names that one group may hold.
  private static let maximumNames = 1 << 20

  /// What a group holds, sorted by name.
  ///
  /// - Throws: `KilnError` (`badInput`) when the group is damaged, or something in it is not reached by a hard link.
  func children(of path: String) throws -> [(name: String, isGroup: Bool)] {
    try HDF5Library.locked {
      let group = try open(path)
      func refused(_ message: String) -> KilnError { KilnError(.badInput, message, at: path.isEmpty ? [] : [path]) }
      guard H5Iget_type(group.id) == H5I_GROUP else { throw refused("is an array where a group is expected") }
      let names = NameList()
      let status = kiln_h5g_names(
        group.id,
        { name, context in
          guard let name, let context else { return -1 }
          return Unmanaged<NameList>.fromOpaque(context).takeUnretainedValue().append(name)
        }, Unmanaged.passUnretained(names).toOpaque())
      guard status >= 0, names.isComplete else { throw refused("the HDF5 library cannot read it (damaged)") }
      return try names.names.map { name in
        let place = path.isEmpty ? name : "\(path)/\(name)"
        guard !name.isEmpty, !name.contains("/") else { throw refused("holds an object without a usable name") }
        let object = try open(place)
        return (name, H5Iget_type(object.id) == H5I_GROUP)
      }
    }
  }

  private final class NameList {
    var names: [String] = []
    var isComplete = true

    func append(_ name: UnsafePointer<CChar>) -> Int32 {
      let length = strnlen(name, HDF5File.maximumNameLength + 1)
      let bytes = UnsafeRawBufferPointer(start: name, count: length)
      guard length <= HDF5File.maximumNameLength, names.count < HDF5File.maximumNames,
        let text = String(validating: bytes, as: UTF8.self)
      else {
        isComplete = false
        return -1
      }
      names.append(text)
      return 0
    }
  }
}

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif
