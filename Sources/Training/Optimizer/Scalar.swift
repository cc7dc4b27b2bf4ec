#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// The C library's functions of one number.
enum Scalar {
  static func pow(_ x: Double, _ y: Double) -> Double {
    #if canImport(Glibc)
      Glibc.pow(x, y)
    #else
      Darwin.pow(x, y)
    #endif
  }
}
