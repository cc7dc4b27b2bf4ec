import ModelFormats
import TensorModule

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// One import done by a child: the request travels as an argument, the answer comes back over a pipe, both as JSON.
struct ImportRequest {
  static let argument = "__import"

  var source: String
  var target: String?
  var options: ImportOptions
  var check: CheckFiles?
  /// Without it the graph is saved as it was read.
  var simplifies = true

  /// Has the child do it.
  ///
  /// - Throws: the child's `KilnError`; `badInput` when the child died instead of answering.
  func run(in executable: String, _ isCancelled: () -> Bool) throws -> ImportOutcome {
    let limits = ResourceLimits(sourceBytes: try ImportRequest.size(of: source))
    let child = try ChildProcess(
      executable, [ImportRequest.argument, json.text()], seconds: limits.wallSeconds, isCancelled: isCancelled)
    func died(_ how: String) -> KilnError {
      KilnError(.badInput, "reading it \(how): the file is damaged or hostile", at: [source])
    }
    switch child.end {
    case .stopped(let why): throw died(why)
    case .signalled(SIGXCPU), .signalled(SIGKILL): throw died("took more than \(limits.processorSeconds) s of processor time")
    case .signalled(let number):
      throw died("ended by signal \(number) within its limit of \(limits.memory >> 20) MiB of memory")
    case .exited: break
    }
    guard let answer = try? JSON.parse(child.output) else { throw died("gave no answer") }
    if let error = answer["error"] { throw KilnError(error) }
    guard let outcome = answer["outcome"] else { throw died("gave no answer") }
    return ImportOutcome(outcome)
  }

  /// The bytes of the source; of everything that belongs to it when it is a folder or one of a model's files.
  private static func size(of path: String) throws -> Int {
    var status = stat()
    let slash = path.lastIndex(of: "/")
    let folder = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    let name = slash.map { String(path[path.index(after: $0)...]) } ?? path
    guard stat(path, &status) == 0 else {
      // A checkpoint is named by what its files have in common.
      guard stat(path + ".meta", &status) == 0 else {
        throw KilnError(.badInput, FileError.message("cannot be opened"), at: [path])
      }
      return total(folder) { $0.hasPrefix(name) }
    }
    if status.st_mode & S_IFMT == S_IFDIR { return total(path) { _ in true } }
    if name.hasPrefix("saved_model.pb") { return total(folder) { _ in true } }
    for suffix in [".meta", ".index"] where name.hasSuffix(suffix) {
      return total(folder) { $0.hasPrefix(name.dropLast(suffix.count)) }
    }
    return Int(status.st_size)
  }

  /// The bytes of a folder's files, and of those in `variables/`, where a SavedModel has its tensors.
  private static func total(_ path: String, _ belongs: (String) -> Bool) -> Int {
    guard let folder = opendir(path) else { return 0 }
    defer { closedir(folder) }
    var total = 0
    var status = stat()
    while let entry = readdir(folder) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      guard name != ".", name != "..", belongs(name), lstat("\(path)/\(name)", &status) == 0 else { continue }
      if status.st_mode & S_IFMT == S_IFREG {
        total += Int(status.st_size)
      } else if name == "variables", status.st_mode & S_IFMT == S_IFDIR {
        total += self.total("\(path)/variables") { _ in true }
      }
    }
    return total
  }

  private var json: JSON {
    .object(
      JSONObject([
        ("source", .string(source)), ("target", target.map { .string($0) } ?? .null), ("options", options.json),
        ("check", check.map { .array([.string($0.inputs), .string($0.outputs)]) } ?? .null),
        ("simplifies", .bool(simplifies)),
      ]))
  }

  init(source: String, target: String?, options: ImportOptions, check: CheckFiles? = nil) {
    self.source = source
    self.target = target
    self.options = options
    self.check = check
  }

  private init?(_ text: String) {
    guard let json = try? JSON.parse(text), let source = json["source"]?.stringValue, let options = json["options"] else { return nil }
    self.init(source: source, target: json["target"]?.stringValue, options: ImportOptions(options))
    if let first = json["check"]?[0]?.stringValue, let second = json["check"]?[1]?.stringValue {
      check = CheckFiles(inputs: first, outputs: second)
    }
    simplifies = json["simplifies"]?.boolValue ?? true
  }

  /// Does the work in this process, under its limits, and prints the answer.
  static func serve(_ text: String) -> Never {
    guard let request = ImportRequest(text) else { exit(KilnError.Code.usage.exitCode) }
    var answer: (String, JSON)
    do {
      ResourceLimits(sourceBytes: try size(of: request.source)).apply()
      answer = ("outcome", try ImportWork.run(request).json)
    } catch let error as KilnError {
      answer = ("error", error.json)
    } catch {
      answer = ("error", KilnError(.internal, "\(error)").json)
    }
    var bytes = Array(JSON.object(JSONObject([answer])).text().utf8)[...]
    while !bytes.isEmpty {
      let written = bytes.withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress, $0.count) }
      if written <= 0 { exit(KilnError.Code.failed.exitCode) }
      bytes = bytes.dropFirst(written)
    }
    // Not `exit`: what C libraries left to do at exit is no use here and may fault.
    _exit(0)
  }
}

extension ModelImport {
  /// Serves an import request and ends the process, when this process was started for one. A program that names itself as
  /// the child's executable calls this first.
  public static func serveIfChild() {
    let arguments = CommandLine.arguments
    guard arguments.count == 3, arguments[1] == ImportRequest.argument else { return }
    ImportRequest.serve(arguments[2])
  }
}
