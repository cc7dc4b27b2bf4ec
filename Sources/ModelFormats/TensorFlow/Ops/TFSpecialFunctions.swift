import GraphModule
import TensorModule

extension TFOpCatalog {
  /// Functions of mathematical physics and statistics.
  static let special = Family("Special functions", readers(of: functions).merging(scalarReaders) { first, _ in first })

  private static let functions: [String: SpecialFunction.Function] = [
    "BesselI0e": .besselI0e, "BesselI1": .besselI1, "BesselI1e": .besselI1e, "BesselJ0": .besselJ0, "BesselJ1": .besselJ1,
    "BesselY0": .besselY0, "BesselY1": .besselY1, "BesselK0": .besselK0, "BesselK0e": .besselK0e, "BesselK1": .besselK1,
    "BesselK1e": .besselK1e, "Dawsn": .dawson, "Expint": .expIntegral, "FresnelCos": .fresnelCos, "FresnelSin": .fresnelSin,
    "Spence": .spence, "Ndtri": .ndtri, "Igamma": .igamma, "Igammac": .igammac, "Zeta": .zeta, "Polygamma": .polygamma,
    "NextAfter": .nextAfter, "Betainc": .betainc,
  ]

  private static func readers(of functions: [String: SpecialFunction.Function]) -> [String: Plain] {
    functions.mapValues { function in { @Sendable call in [try call.add(SpecialFunction(function), try operands(call, function.arity), "special")] } }
  }

  private static func operands(_ call: TFCall, _ count: Int) throws -> [ValueID] { try (0..<count).map { try call.x($0) } }

  private static let scalarReaders: [String: Plain] = [
    "Lgamma": { [try $0.unary(.lgamma, try $0.x(0))] },
    "Digamma": { [try $0.unary(.digamma, try $0.x(0))] },
    "Erfinv": { [try $0.unary(.erfinv, try $0.x(0))] },
    "BesselI0": { [try $0.unary(.besselI0, try $0.x(0))] },
  ]
}
