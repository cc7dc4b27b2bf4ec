#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// What a child that reads a foreign file may take. C parsers cannot be trusted on hostile bytes; these bounds make the
/// worst of them one clean error.
struct ResourceLimits {
  /// Address space in bytes, processor seconds, and the size of the file written.
  let memory: Int
  let processorSeconds: Int
  let fileSize: Int

  /// Limits for a source of `bytes` bytes: enough for its weights, their transformed copy and the check's doubles.
  init(sourceBytes bytes: Int) {
    let bytes = min(max(bytes, 0), 1 << 40)
    memory = 768 << 20 + 4 * bytes
    processorSeconds = 3 + bytes / (4 << 20)
    fileSize = 64 << 20 + 4 * bytes
  }

  /// A backstop for a child that waits instead of working.
  var wallSeconds: Int { 4 * processorSeconds }

  /// Binds this process, for good.
  func apply() {
    func set(_ resource: Resource, _ value: Int) {
      var limit = rlimit(rlim_cur: rlim_t(value), rlim_max: rlim_t(value))
      setrlimit(resource, &limit)
    }
    set(limitOfMemory, memory)
    set(limitOfProcessor, processorSeconds)
    set(limitOfFileSize, fileSize)
    set(limitOfFiles, 64)
    set(limitOfCore, 0)
    // A write past the limit is then an error of `write`.
    signal(SIGXFSZ, SIG_IGN)
  }
}

#if canImport(Glibc)
  private typealias Resource = __rlimit_resource_t
  private let limitOfMemory = __rlimit_resource_t(RLIMIT_AS.rawValue)
  private let limitOfProcessor = __rlimit_resource_t(RLIMIT_CPU.rawValue)
  private let limitOfFileSize = __rlimit_resource_t(RLIMIT_FSIZE.rawValue)
  private let limitOfFiles = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
  private let limitOfCore = __rlimit_resource_t(RLIMIT_CORE.rawValue)
#else
  private typealias Resource = Int32
  private let limitOfMemory = RLIMIT_AS
  private let limitOfProcessor = RLIMIT_CPU
  private let limitOfFileSize = RLIMIT_FSIZE
  private let limitOfFiles = RLIMIT_NOFILE
  private let limitOfCore = RLIMIT_CORE
#endif
