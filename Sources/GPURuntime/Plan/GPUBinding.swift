import GraphModule
import TensorModule

/// An op that has kernels for OpenCL devices. One file for each op family in `Ops/`.
package protocol GPUBinding: OpDefinition {
  /// Adds the kernels that compute the node, or declares its result an alias of an operand.
  ///
  /// - Returns: `.refused` with the reason when no kernel fits these types or attributes; what was added is then dropped.
  func lower(_ node: GPULowering) throws -> GPUSupport
}

/// What a binding says of a node.
package enum GPUSupport: Sendable, Hashable {
  case runs
  /// As in "'conv1' (conv): it has 3 spatial axes".
  case refused(String)
}

/// What a kernel's parameter gets.
package enum GPUArgument {
  /// A null pointer, for an optional operand that is not there.
  case absent
  /// An operand or result of the node.
  case value(ValueID)
  /// Memory that the node's kernels use among themselves.
  case temporary(Int)
  case weights(GPUWeights)
  /// `global int *`: a kernel sets it to 1 when data are wrong; 0 at first, looked at after the run.
  case errorFlag(Int)
  case int(Int32)
  case long(Int64)
  case float(Float)
  case double(Double)

  package static func int(_ value: Int) -> GPUArgument { .int(Int32(clamping: value)) }
}

/// A constant in the layout that a kernel reads, uploaded once for all plans of a model.
package struct GPUWeights: Sendable {
  struct Key: Hashable {
    let constant: ObjectIdentifier
    let layout: String
    let numbers: [Int]
  }

  let key: Key
  /// Keeps the identifier in the key from being given to another tensor.
  let constant: Tensor
  let byteCount: Int
  /// Writes all bytes; runs when the plan is made.
  let fill: @Sendable (UnsafeMutableRawBufferPointer) -> Void
}

/// OpenCL C with the definitions that it is compiled with.
package struct KernelSource: Hashable, Sendable {
  package var text: String
  /// `#define` lines before the text: name (with parameters), then what it stands for.
  package var defines: [[String]]

  package init(_ text: String, _ defines: [(String, String)] = []) {
    self.text = text
    self.defines = defines.map { [$0.0, $0.1] }
  }

  /// The whole program.
  func program(_ precision: GPUPrecision) -> String {
    Prelude.text(precision) + defines.map { "#define \($0[0]) \($0[1])\n" }.joined() + text
  }
}

/// How float32 values are stored on the device; arithmetic is float32 in both.
package enum GPUPrecision: String, Sendable, CaseIterable {
  case float32 = "fp32"
  case float16 = "fp16"

  var byteCount: Int { self == .float32 ? 4 : 2 }
}

/// A kernel call before memory is planned.
struct PendingKernel {
  var source: KernelSource
  var name: String
  var arguments: [GPUArgument]
  var global: [Int]
  var local: [Int]
  /// A product that CLBlast computes from the three arguments; `source` and sizes then mean nothing.
  var product: BlasProduct? = nil
}
