#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// The C library's functions of one number.
enum Scalar {
  #if canImport(Glibc)
    static func pow(_ x: Double, _ y: Double) -> Double { Glibc.pow(x, y) }
    static func log(_ x: Double) -> Double { Glibc.log(x) }
    static func exp(_ x: Double) -> Double { Glibc.exp(x) }
  #else
    static func pow(_ x: Double, _ y: Double) -> Double { Darwin.pow(x, y) }
    static func log(_ x: Double) -> Double { Darwin.log(x) }
    static func exp(_ x: Double) -> Double { Darwin.exp(x) }
  #endif
}
