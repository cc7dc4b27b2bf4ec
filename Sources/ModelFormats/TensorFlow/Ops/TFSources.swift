import GraphModule
import TensorModule

extension TFOpCatalog {
  /// Constants and variables.
  static let sources = Family(
    "Sources", [:],
    values: [
      "Const": { call in
        guard case .tensor(let tensor)? = call.attribute("value") else { throw call.wrong("attribute 'value' must be a tensor") }
        if let parts = try tensor.loadComplex() {
          return [
            .complex(
              .constant(parts.real, call.builder, name: "\(call.name)/real"),
              .constant(parts.imaginary, call.builder, name: "\(call.name)/imaginary"), call.builder, name: call.name)
          ]
        }
        return [.constant(try tensor.load(), call.builder, name: call.name)]
      },
      "VarHandleOp": { [.resource($0.name, $0.builder)] },
      "VariableV2": { [try variable($0, $0.name)] },
      "Variable": { [try variable($0, $0.name)] },
      "ReadVariableOp": { call in
        // Freezing leaves constants in place of variables that functions take.
        if case .tensor = try call.input(0).kind { return [try call.input(0)] }
        return [try variable(call, try resource(call))]
      },
      "ResourceGather": { call in
        var table = try call.input(0)
        if case .resource(let name) = table.kind { table = try variable(call, name) }
        let batch = try call.int("batch_dims", 0)
        let data = try call.builder.id(table)
        return call.values([try call.add(Gather(axis: batch, batchDims: batch), [data, try call.x(1)], "gather")])
      },
      "NoOp": { _ in [] },
    ])

  /// The name of the node that a resource operand is.
  static func resource(_ call: TFCall, _ index: Int = 0) throws -> String {
    guard case .resource(let name) = try call.input(index).kind else { throw call.wrong("its operand is not a variable or table") }
    return name
  }

  static func variable(_ call: TFCall, _ name: String) throws -> TFValue {
    guard let load = call.converter.model.variables[name] else {
      throw KilnError(
        .badInput, "the variable \(KilnError.quoted(name)) has no value here",
        hint: "freeze the graph, or import the checkpoint or SavedModel")
    }
    return .constant(try load(), call.builder, name: name)
  }
}
