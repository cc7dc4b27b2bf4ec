import TestSupport
import Testing

/// kinfer on machines whose OpenCL is missing or broken, and processes that share its cache.
@Suite struct DeviceCommandTests {
  private static let pixels = Command.fixture("demo/input_pixels.npy")

  private func predict(_ more: [String], _ environment: [String: String]) throws -> Command {
    try Command.run("kinfer", ["predict", Demo.model(), "--input", Self.pixels] + more, environment: environment)
  }

  /// No library, a library that is none, one without the functions, no driver.
  @Test(arguments: ["/no/such/library.so", Command.fixture("demo/README.md"), "libm.so.6", ""])
  func withoutOpenCL(_ library: String) throws {
    let folder = TemporaryFolder()
    let environment = ["KILN_OPENCL": library, "OCL_ICD_VENDORS": folder.path, "KILN_GPU": "0"]
    let expected = try predict(["--device", "cpu"], environment)
    let automatic = try predict(["--device", "auto"], environment)
    #expect(automatic.exitCode == 0 && automatic.output == expected.output && !expected.output.isEmpty)
    let line = try #require(automatic.errorLine, "\(automatic.errors)")
    #expect(line.hasPrefix("warning: the model runs on the processor: "), "\(line)")
    let strict = try predict(["--device", "gpu"], environment)
    #expect(strict.exitCode == 1 && strict.output.isEmpty && strict.errorLine != nil, "\(strict.errors)")
    // Who asks for nothing is told nothing.
    let standard = try predict([], environment)
    #expect(standard.exitCode == 0 && standard.output == expected.output && standard.errors.isEmpty, "\(standard.errors)")
  }

  @Test func rulesThatMatchNothing() throws {
    for rule in ["nowhere=cpu", "=cpu", "x=tpu"] {
      let run = try predict(["--place", rule], [:])
      #expect(run.exitCode == 64 && run.output.isEmpty && run.errorLine?.contains("plac") == true, "\(run.errors)")
    }
  }

  /// Processes that fill an empty cache at once give the same results, and leave nothing half written.
  @Test func processesFillTheCacheAtOnce() async throws {
    let folder = TemporaryFolder()
    // Without the note on timed kernels.
    let environment = ["XDG_CACHE_HOME": folder.path, "POCL_CACHE_DIR": folder.path, "KILN_GPU_TUNING": "0"]
    let first = try predict(["--device", "gpu"], environment.merging(["KILN_GPU_CACHE": "0"]) { $1 })
    // No driver: nothing to test.
    if first.exitCode != 0, first.errors.contains("OpenCL") { return }
    try await withThrowingTaskGroup(of: Command.self) { group in
      for _ in 0..<3 { group.addTask { try predict(["--device", "gpu"], environment) } }
      for try await run in group { #expect(run.exitCode == 0 && run.output == first.output && run.errors.isEmpty, "\(run.errors)") }
    }
    // What is there now is used: from a cache that cannot be written too.
    let again = try predict(["--device", "gpu"], environment)
    #expect(again.output == first.output)
    let unwritable = try predict(["--device", "gpu"], environment.merging(["XDG_CACHE_HOME": "/proc"]) { $1 })
    #expect(unwritable.output == first.output && unwritable.errors.isEmpty, "\(unwritable.errors)")
  }
}
