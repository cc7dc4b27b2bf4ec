import COpenCL
import GPURuntime
import GraphModule
import InferenceRuntime
import Synchronization
import TensorModule
import TestSupport
import Testing

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// A device that fails somewhere: one clear line where it must be used, else the processor's results and one warning.
@Suite(.enabled(if: TestDevice.isThere)) struct GPUFaultTests {
  /// A call that fails, and what the error then says.
  struct Fault: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let message: String
    let inject: @Sendable (inout kiln_cl_functions) -> Void

    init(_ name: String, _ message: String, _ inject: @escaping @Sendable (inout kiln_cl_functions) -> Void) {
      (testDescription, self.message, self.inject) = (name, message, inject)
    }
  }

  static let faults = [
    Fault("no device memory", "allocate", { $0.create_buffer = { _, _, _, _, status in fail(status, -4) } }),
    Fault("no device memory, told late", "out of resources", { $0.enqueue_kernel = { _, _, _, _, _, _, _, _, _ in -5 } }),
    Fault("a part of a buffer", "take a part", { $0.create_sub_buffer = { _, _, _, _, status in fail(status, -13) } }),
    Fault("lost at a kernel", "the device was lost", { $0.enqueue_kernel = { _, _, _, _, _, _, _, _, _ in -36 } }),
    Fault("lost at an upload", "take the inputs", { $0.enqueue_write = { _, _, _, _, bytes, _, _, _, _ in bytes == 24 ? -36 : 0 } }),
    Fault("lost at a download", "give the results", { $0.enqueue_read = { _, _, _, _, _, _, _, _, _ in -14 } }),
    Fault("a build error", "refuses a kernel (OpenCL error -11)", { $0.build_program = { _, _, _, _, _, _ in -11 } }),
    Fault("no program", "take a program", { $0.create_program_with_source = { _, _, _, _, status in fail(status, -6) } }),
    Fault("a kernel that is not there", "find kernel", { $0.create_kernel = { _, _, status in fail(status, -46) } }),
    Fault("an argument", "set argument", { $0.set_kernel_argument = { _, _, _, _ in -51 } }),
  ]

  private func graph() throws -> (graph: Graph, feed: [Tensor]) {
    var graph = Graph(name: "g")
    let x = try graph.addInput("x", TensorType(.float32, shape: [2, 3]))
    let w = graph.addConstant("w", try Tensor([1, 2, 3, 4, 5, 6] as [Float], shape: [3, 2]))
    let y = try graph.addOne(MatMul(), [x, w], name: "y")
    graph.outputs = [Graph.Output(name: "z", value: try graph.addOne(Elementwise(.exp), [y], name: "z"))]
    return (graph, [try Tensor([1, 0, 0.5, -1, 0.25, 0] as [Float], shape: [2, 3])])
  }

  private func context(_ fault: Fault?, cache: String? = nil) throws -> GPUContext {
    var functions = try GPUContext.functions()
    fault?.inject(&functions)
    return try GPUContext(#require(TestDevice.device), functions: functions, cacheFolder: cache)
  }

  @Test(arguments: faults) func theProcessorTakesOver(_ fault: Fault) throws {
    let (graph, feed) = try graph()
    let lines = Lines()
    let backend = try GPUBackend(
      #require(TestDevice.device), options: .init(ignoresCost: true, report: { lines.add($0) }), context: try context(fault))
    let cache = PlanCache(graph, options: PlanOptions(device: backend), pool: .single)
    let expected = try ReferenceBackend.run(graph, feed)
    for _ in 0..<3 {
      let got = try cache.run(feed)
      #expect(firstDifference(got[0], expected[0], relative: 1e-5, absolute: 1e-5) == nil)
    }
    #expect(lines.all.count == 1 && lines.all[0].hasPrefix("warning: the processor goes on without the GPU: "), "\(lines.all)")
    #expect(lines.all.first?.contains(fault.message) == true && lines.all.first?.contains("\n") == false, "\(lines.all)")
  }

  @Test(arguments: faults) func strictEndsWithOneLine(_ fault: Fault) throws {
    let (graph, feed) = try graph()
    let backend = try GPUBackend(#require(TestDevice.device), options: .init(isStrict: true), context: try context(fault))
    let cache = PlanCache(graph, options: PlanOptions(device: backend), pool: .single)
    let error = #expect(throws: KilnError.self) { try cache.run(feed) }
    #expect(error?.code == .failed && error?.line.contains(fault.message) == true && error?.line.contains("\n") == false, "\(error?.line ?? "")")
  }

  @Test func aContextThatCannotBeMade() throws {
    let fault = Fault("no context", "", { $0.create_context = { _, _, _, _, _, status in fail(status, -2) } })
    let error = #expect(throws: KilnError.self) { try context(fault) }
    #expect(error?.message.contains("not available, or was lost") == true)
  }

  /// All predictions that meet a lost device go on, not only the first one.
  @Test func lostInTheMiddleOfManyCalls() async throws {
    let (graph, feed) = try graph()
    let lines = Lines()
    let fault = Fault(
      "lost later", "",
      { functions in
        functions.enqueue_read = { queue, memory, blocking, offset, count, bytes, events, list, event in
          if Loss.calls.add(1, ordering: .relaxed).newValue > 20 { return -36 }
          return Loss.read?(queue, memory, blocking, offset, count, bytes, events, list, event) ?? -36
        }
      })
    let backend = try GPUBackend(
      #require(TestDevice.device), options: .init(ignoresCost: true, report: { lines.add($0) }), context: try context(fault))
    let cache = PlanCache(graph, options: PlanOptions(device: backend), pool: .single)
    let expected = try ReferenceBackend.run(graph, feed)
    try await withThrowingTaskGroup(of: [Tensor].self) { group in
      for _ in 0..<60 { group.addTask { try cache.run(feed) } }
      for try await got in group { #expect(firstDifference(got[0], expected[0], relative: 1e-5, absolute: 1e-5) == nil) }
    }
    #expect(Loss.calls.load(ordering: .relaxed) > 20 && lines.all.count == 1, "\(lines.all)")
  }

  // MARK: The cache of programs

  private func predict(_ context: GPUContext) throws {
    let (graph, feed) = try graph()
    let backend = try GPUBackend(#require(TestDevice.device), options: .init(isStrict: true), context: context)
    let got = try PlanCache(graph, options: PlanOptions(device: backend), pool: .single).run(feed)
    #expect(firstDifference(got[0], try ReferenceBackend.run(graph, feed)[0], relative: 1e-5, absolute: 1e-5) == nil)
  }

  @Test func programsAreKept() throws {
    let folder = TemporaryFolder()
    let first = try context(nil, cache: folder.path)
    try predict(first)
    #expect(first.counts.compiled > 0 && first.counts.loaded == 0 && folder.names.count == first.counts.compiled)
    let second = try context(nil, cache: folder.path)
    try predict(second)
    #expect(second.counts.compiled == 0 && second.counts.loaded == first.counts.compiled)
  }

  /// Files that were cut, changed, emptied or replaced by a folder are compiled anew.
  @Test(arguments: ["cut", "changed", "empty", "noise", "folder"]) func damagedFiles(_ damage: String) throws {
    let folder = TemporaryFolder()
    try predict(try context(nil, cache: folder.path))
    for name in folder.names {
      let file = try MappedFile(path: folder.file(name))
      var bytes = withExtendedLifetime(file) { Array(file.bytes) }
      switch damage {
      case "cut": bytes = Array(bytes.prefix(bytes.count / 2))
      case "changed": bytes[bytes.count / 2] ^= 1
      case "empty": bytes = []
      case "noise": bytes = bytes.map { $0 &* 31 &+ 7 }
      default: break
      }
      unlink(folder.file(name))
      if damage == "folder" { mkdir(folder.file(name), 0o700) } else { _ = try folder.write(name, bytes) }
    }
    let context = try context(nil, cache: folder.path)
    try predict(context)
    #expect(context.counts.loaded == 0 && context.counts.compiled > 0)
  }

  /// A file that is whole but that the driver does not want.
  @Test func binariesThatTheDriverRefuses() throws {
    let folder = TemporaryFolder()
    try predict(try context(nil, cache: folder.path))
    let fault = Fault("refused", "", { $0.create_program_with_binary = { _, _, _, _, _, _, status in fail(status, -42) } })
    let context = try context(fault, cache: folder.path)
    try predict(context)
    #expect(context.counts.loaded == 0 && context.counts.compiled > 0)
  }

  @Test func foldersThatCannotBeWritten() throws {
    for folder in ["/no/such/folder", "/proc"] {
      let context = try context(nil, cache: folder)
      try predict(context)
      #expect(context.counts.loaded == 0 && context.counts.compiled > 0)
    }
  }

  @Test func anotherDriverIsAnotherFile() {
    let machine = ["PoCL", "a device", "a vendor", "OpenCL 3.0", "1.0", "-cl-std=CL1.2"]
    let names = machine.indices.map { index in
      var other = machine
      other[index] += "1"
      return ProgramCache.fileName(other, "source")
    }
    #expect(Set(names + [ProgramCache.fileName(machine, "source"), ProgramCache.fileName(machine, "source2")]).count == machine.count + 2)
  }

  /// Several that fill the cache at once, as processes do: contexts share nothing but the folder.
  @Test func manyFillTheCacheAtOnce() async throws {
    let folder = TemporaryFolder()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<4 { group.addTask { try predict(try context(nil, cache: folder.path)) } }
      try await group.waitForAll()
    }
    let after = try context(nil, cache: folder.path)
    try predict(after)
    #expect(after.counts.compiled == 0 && folder.names.allSatisfy { $0.hasSuffix(".bin") }, "\(folder.names)")
  }
}

/// Sets a status and gives no object.
private func fail(_ status: UnsafeMutablePointer<Int32>?, _ code: Int32) -> OpaquePointer? {
  status?.pointee = code
  return nil
}

private enum Loss {
  static let calls = Atomic<Int>(0)
  static let read = try? GPUContext.functions().enqueue_read
}

private final class Lines: Sendable {
  private let list = Mutex<[String]>([])

  func add(_ text: String) { list.withLock { $0.append(text) } }

  var all: [String] { list.withLock { $0 } }
}
