import CKernels
import GraphModule
import TensorModule

extension Activation {
  /// The kernels' form of the activation.
  var kernel: kiln_activation {
    var out = kiln_activation()
    out.function = max(0, kiln_function_by_name(function.rawValue))
    withUnsafeMutableBytes(of: &out.p) { $0.store(parameters.map { Float($0) }) }
    return out
  }
}

extension NodeLowering {
  /// The bias, residual and result of a node with an epilogue, in the kernels' order.
  func epilogueOperands(_ epilogue: Epilogue) -> [StepOperand] {
    [optionalInput(epilogue.biasIndex()), optionalInput(epilogue.residualIndex()), output()]
  }

  /// The residual may be the result's own memory.
  func allowResidualInPlace(_ epilogue: Epilogue) {
    if let index = epilogue.residualIndex() { allowInPlace(over: index) }
  }

  /// Whether all operands and results have this dtype.
  func isAll(_ dtype: DType) -> Bool { (inputs + outputs).allSatisfy { $0.dtype == dtype } }
}

