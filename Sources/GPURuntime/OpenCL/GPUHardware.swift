#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// What a look at the machine tells without opening a driver, which takes a tenth of a second or more.
package enum GPUHardware {
  /// Whether a GPU may be here: the kernel shows one, or the environment asks for a device (`KILN_GPU`, `KILN_OPENCL`).
  package static var mayBeHere: Bool {
    if asks("KILN_GPU") || asks("KILN_OPENCL") { return true }
    #if os(Linux)
      // NVIDIA, AMD, Windows' subsystem for Linux, phones; all others, AMD and Intel too, have a render node.
      let nodes = ["/dev/nvidiactl", "/dev/nvidia0", "/dev/kfd", "/dev/dxg", "/dev/mali0", "/dev/kgsl-3d0"]
      return nodes.contains { access($0, F_OK) == 0 } || hasRenderNode
    #else
      return true
    #endif
  }

  private static var hasRenderNode: Bool {
    guard let folder = opendir("/dev/dri") else { return false }
    defer { closedir(folder) }
    while let entry = readdir(folder) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name.hasPrefix("renderD") { return true }
    }
    return false
  }

  /// Whether an environment variable is set to something.
  static func asks(_ variable: String) -> Bool { getenv(variable).map { $0.pointee != 0 } ?? false }
}
