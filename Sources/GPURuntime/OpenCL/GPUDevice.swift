import COpenCL
import TensorModule

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// An OpenCL device, as the driver describes it.
package struct GPUDevice: @unchecked Sendable {
  package enum Kind: String, Sendable {
    case gpu, cpu, accelerator
  }

  package let name: String
  package let vendor: String
  /// The platform's name, and the driver's version.
  package let platform: String
  package let driver: String
  package let version: String
  package let kind: Kind
  package let memoryBytes: Int
  package let maximumBufferBytes: Int
  package let computeUnits: Int
  package let maximumGroup: Int
  package let localMemoryBytes: Int
  /// Bytes to which parts of a buffer are aligned.
  package let alignment: Int
  package let hasDouble: Bool
  /// Whether it computes in float16 (all devices store it).
  package let hasHalf: Bool
  /// The floats that its registers hold: 16 with AVX-512, 1 on most GPUs.
  package let vectorWidth: Int
  /// Whether its memory is the processor's own.
  package let isUnified: Bool
  package let hasCompiler: Bool
  package let isAvailable: Bool

  let id: kiln_cl_device

  /// Every device of every platform, GPUs first.
  ///
  /// - Throws: `KilnError` (`failed`) when there is no OpenCL library.
  package static func all() throws -> [GPUDevice] {
    let cl = try OpenCL.library.get().functions.pointee
    var count: UInt32 = 0
    guard cl.get_platform_ids(0, nil, &count) == 0, count > 0 else { return [] }
    var platforms = [kiln_cl_platform?](repeating: nil, count: Int(count))
    guard cl.get_platform_ids(count, &platforms, nil) == 0 else { return [] }
    let found = platforms.compactMap { $0 }.flatMap { platform in devices(of: platform, cl) }
    return found.filter { $0.kind == .gpu } + found.filter { $0.kind == .accelerator } + found.filter { $0.kind == .cpu }
  }

  /// The device to use: the first GPU, or what `KILN_GPU` names by a part of its name or its number in `all`.
  ///
  /// - Parameter acceptsProcessors: whether a processor that stands for a GPU (PoCL) will do when `KILN_GPU` does not name it.
  /// - Throws: `KilnError` (`failed`) when there is none.
  package static func chosen(acceptsProcessors: Bool = true) throws -> GPUDevice {
    let devices = try all()
    if let wanted = getenv("KILN_GPU").map({ String(cString: $0) }), !wanted.isEmpty {
      if let number = Int(wanted), devices.indices.contains(number) { return devices[number] }
      if let found = devices.first(where: { $0.name.lowercased().contains(wanted.lowercased()) }) { return found }
      throw KilnError(.failed, "KILN_GPU: there is no OpenCL device \(KilnError.quoted(wanted))", hint: "kinfer doctor lists the devices")
    }
    let usable = devices.filter { $0.isAvailable && $0.hasCompiler }
    guard let first = usable.first else {
      if let broken = devices.first {
        throw KilnError(
          .failed, "no OpenCL device can be used: '\(broken.name)' \(broken.isAvailable ? "has no compiler" : "is not available")",
          hint: "kinfer doctor lists the devices")
      }
      throw KilnError(.failed, "no OpenCL device is on this machine", hint: "kinfer doctor lists the devices")
    }
    if !acceptsProcessors, first.kind == .cpu {
      throw KilnError(.failed, "no GPU is on this machine; '\(first.name)' is a processor", hint: "--device gpu or KILN_GPU=0 takes it")
    }
    return first
  }

  /// One line: what it is and what it has.
  package var summary: String {
    let state = !isAvailable ? ", not available" : !hasCompiler ? ", without a compiler" : ""
    return "\(name) (\(kind == .cpu ? "a processor" : kind.rawValue), \(platform) \(driver), \(computeUnits) units, \(memoryBytes >> 20) MiB\(hasDouble ? "" : ", no float64")\(state))"
  }

  private static func devices(of platform: kiln_cl_platform, _ cl: kiln_cl_functions) -> [GPUDevice] {
    var count: UInt32 = 0
    guard cl.get_device_ids(platform, kiln_cl_all_devices, 0, nil, &count) == 0, count > 0 else { return [] }
    var ids = [kiln_cl_device?](repeating: nil, count: Int(count))
    guard cl.get_device_ids(platform, kiln_cl_all_devices, count, &ids, nil) == 0 else { return [] }
    let name = text { cl.get_platform_info(platform, KILN_CL_PLATFORM_NAME.rawValue, $0, $1, $2) }
    return ids.compactMap { $0 }.map { GPUDevice($0, platform: name, cl) }
  }

  private init(_ id: kiln_cl_device, platform: String, _ cl: kiln_cl_functions) {
    func word(_ what: kiln_cl_name) -> String { GPUDevice.text { cl.get_device_info(id, what.rawValue, $0, $1, $2) } }
    func number<Number: FixedWidthInteger>(_ what: kiln_cl_name, _ zero: Number) -> Int {
      var value = zero
      guard cl.get_device_info(id, what.rawValue, MemoryLayout<Number>.size, &value, nil) == 0 else { return 0 }
      return Int(clamping: value)
    }
    self.id = id
    self.platform = platform
    name = word(KILN_CL_DEVICE_NAME)
    vendor = word(KILN_CL_DEVICE_VENDOR)
    driver = word(KILN_CL_DRIVER_VERSION)
    version = word(KILN_CL_DEVICE_VERSION)
    let type = UInt64(number(KILN_CL_DEVICE_TYPE, UInt64(0)))
    kind = type & kiln_cl_gpu_devices != 0 ? .gpu : type & kiln_cl_cpu_devices != 0 ? .cpu : .accelerator
    memoryBytes = number(KILN_CL_DEVICE_GLOBAL_MEM_SIZE, UInt64(0))
    maximumBufferBytes = number(KILN_CL_DEVICE_MAX_MEM_ALLOC_SIZE, UInt64(0))
    computeUnits = number(KILN_CL_DEVICE_MAX_COMPUTE_UNITS, UInt32(0))
    maximumGroup = number(KILN_CL_DEVICE_MAX_WORK_GROUP_SIZE, UInt(0))
    localMemoryBytes = number(KILN_CL_DEVICE_LOCAL_MEM_SIZE, UInt64(0))
    alignment = max(64, number(KILN_CL_DEVICE_MEM_BASE_ADDR_ALIGN, UInt32(0)) / 8)
    hasDouble = number(KILN_CL_DEVICE_DOUBLE_FP_CONFIG, UInt64(0)) != 0
    hasHalf = word(KILN_CL_DEVICE_EXTENSIONS).split(separator: " ").contains("cl_khr_fp16")
    vectorWidth = number(KILN_CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT, UInt32(0))
    isUnified = number(KILN_CL_DEVICE_HOST_UNIFIED_MEMORY, UInt32(0)) != 0
    hasCompiler = number(KILN_CL_DEVICE_COMPILER_AVAILABLE, UInt32(0)) != 0
    isAvailable = number(KILN_CL_DEVICE_AVAILABLE, UInt32(0)) != 0
  }

  private static func text(_ get: (Int, UnsafeMutableRawPointer?, UnsafeMutablePointer<Int>?) -> Int32) -> String {
    var size = 0
    guard get(0, nil, &size) == 0, size > 0, size < 1 << 16 else { return "" }
    var bytes = [UInt8](repeating: 0, count: size)
    guard get(size, &bytes, nil) == 0 else { return "" }
    return String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
  }
}
