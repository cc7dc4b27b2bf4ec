import GraphModule
import TensorModule

extension ModelSummary {
  package var json: JSON {
    let graph = model.graph
    func value(_ name: String, _ type: TensorType) -> JSON {
      .object(
        JSONObject([
          ("name", .string(name)), ("dtype", .string(type.dtype.name)),
          ("shape", .array(type.dims.map { $0.fixed.map { .int($0) } ?? .string($0.description) })),
        ]))
    }
    let layers = rows.map { row in
      JSON.object(
        JSONObject([
          ("name", .string(row.name)), ("ops", .array(row.ops.map { .string($0) })),
          ("output", value("", row.output)["shape"] ?? .null), ("dtype", .string(row.output.dtype.name)),
          ("parameters", .int(row.parameters)), ("flops", row.flops.map { .int($0) } ?? .null), ("nodes", .int(row.nodes)),
          ("devices", .array(row.devices.map { .string($0) })),
        ]))
    }
    return .object(
      JSONObject([
        ("schema", .int(1)), ("name", .string(graph.name)),
        ("metadata", .object(JSONObject(graph.metadata.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) }))),
        ("inputs", .array(graph.inputs.map { value(graph[$0].name, graph.type(of: $0)) })),
        ("outputs", .array(graph.outputs.map { value($0.name, graph.type(of: $0.value)) })),
        ("layers", .array(layers)), ("parameters", .int(parameters)), ("flops", flops.map { .int($0) } ?? .null),
        ("flops_for", .object(JSONObject(bindings.map { ($0.symbol, .int($0.length)) }))),
        ("training", TrainingSummary(model)?.json ?? .null), ("check_vectors", .array(model.checks.map { .string($0.origin.rawValue) })),
      ]))
  }
}
