/// Passes that are no local patterns.
package enum BuiltIn: String, CaseIterable, Sendable {
  case deadCode = "dead-code"
  case commonSubexpressions = "common-subexpressions"
  case constantFolding = "constant-folding"
  case stridesBack = "strides-back"
  case elementwiseChain = "elementwise-chain"
  case controlFlow = "control-flow"
  case staticSizes = "static-sizes"
  case recurrentLoops = "recurrent-loops"

  package var phase: Phase {
    switch self {
    case .deadCode, .commonSubexpressions, .controlFlow, .staticSizes: .canonicalise
    case .recurrentLoops: .simplify
    case .constantFolding: .foldConstants
    case .stridesBack, .elementwiseChain: .lower
    }
  }

  package var exactness: Exactness {
    switch self {
    case .constantFolding: .folded
    case .recurrentLoops: .folded
    default: .exact
    }
  }

  package var summary: String {
    switch self {
    case .deadCode: "a node whose results nobody reads is removed, with what only it needed"
    case .commonSubexpressions: "equal ops on equal operands become one node; equal constants become one constant"
    case .constantFolding: "a node whose operands are all constants becomes a constant, within a memory budget"
    case .staticSizes: "a shape that is computed from known dims becomes an attribute"
    case .controlFlow:
      "a constant selector's graph takes the branch's place; constants move into loops and branches, what does not change moves out of loops"
    case .recurrentLoops: "a loop whose body computes an LSTM, a GRU or a simple RNN from one slice and its state becomes one sequence op"
    case .stridesBack: "a convolution whose readers all skip positions (strided 1×1 convolutions and pools, slices) computes only those they read"
    case .elementwiseChain: "elementwise nodes that feed each other and nothing else become one loop"
    }
  }
}
