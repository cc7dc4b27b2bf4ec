import GraphModule
import TensorModule

extension PlanBuilder {
  /// Refuses a prediction whose results take more memory than it may have.
  func checkMemory(_ bytes: Int) throws {
    guard bytes < 0 || bytes > min(AvailableMemory.small, options.memoryLimit ?? .max) else { return }
    let limit = options.memoryLimit ?? AvailableMemory.byteCount()
    guard bytes < 0 || bytes > limit else { return }
    let values = graph.nodes.flatMap(\.outputs)
    let largest = values.max { byteCount($0) < byteCount($1) }
    let name = largest.map { ", \(KilnError.quoted(graph[$0].name)) \(graph.type(of: $0).message) alone \(PlanBuilder.sizeText(byteCount($0)))" }
    throw KilnError(
      .failed,
      "the results of a prediction need \(PlanBuilder.sizeText(bytes))\(name ?? ""); \(options.memoryLimit == nil ? "the machine has" : "the limit is") \(PlanBuilder.sizeText(limit))",
      hint: "fewer samples at once take less")
  }

  private static func sizeText(_ bytes: Int) -> String {
    bytes < 0 ? "over 8 EiB" : bytes < 10 << 10 ? "\(bytes) bytes" : bytes < 10 << 20 ? "\(bytes >> 10) KiB" : "\(bytes >> 20) MiB"
  }
}
