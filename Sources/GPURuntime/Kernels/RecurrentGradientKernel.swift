import GraphModule
import TensorModule

/// Backpropagation through the steps of a recurrent layer: one kernel walks from the last step to the first, over the trace of the
/// forward pass. It gives the slopes of the gates' sums at all steps; products with them give the rest.
///
/// As in `RecurrentKernel` a work-item has some samples on processors, and a work-group one on GPUs. The recurrent weights are packed
/// `[block of units][gate's unit][vector]`, on GPUs one block.
struct RecurrentGradientKernel {
  let rnn: RNN
  let units: Int
  let width: Int
  let samples: Int
  /// Lanes of a work-group on GPUs; nil on processors.
  let lanes: Int?

  init(_ rnn: RNN, like forward: RecurrentKernel) {
    self.rnn = rnn
    (units, width, samples, lanes) = (forward.units, forward.width, forward.samples, forward.lanes)
  }

  private var gates: Int { rnn.cell.gates }
  private var fields: Int { rnn.cell.traceFields }
  private var isReset: Bool { rnn.cell == .gru }
  /// Whether the sums with the state have slopes of their own.
  var hasOwnSums: Bool { rnn.cell == .gruResetAfter }
  /// The gates' sums that come from the state itself; the candidate of `gru` comes from the state times its reset gate.
  var through: Int { isReset ? 2 * units : gates * units }
  private var padded: Int { (units + width - 1) / width * width }
  private static let states = 3

  /// Numbers of scratch memory for a batch.
  func scratch(_ batch: Int) -> Int { (batch + samples - 1) / samples * samples * Self.states * padded }

  static let parameters = """
    global const real *trace, global const real *weights, global const real *candidate_weights, global const uchar *mask, global const real *dy, \
    global const real *dh_end, global const real *dc_end, global real *slopes, global real *sums, global real *before, global real *gated, \
    global real *candidate, global real *start_dh, global real *start_dc, global float *scratch, int batch, int time, int units
    """

  // MARK: Packing

  private static let packer = KernelSource(
    """
    kernel void pack_turned(global const real *w, global real *y, int units, int row, int first, int depth, int width, int n) {
      int i = get_global_id(0);
      if (i >= n) return;
      int j = i % width, k = i / width % depth, u = i / width / depth * width + j;
      ST(y, i, u < units ? LD(w, (size_t)u * row + first + k) : 0);
    }
    """)

  /// Some columns of the recurrent kernel, turned.
  func packed(_ node: GPULowering, columns: Range<Int>) -> GPUArgument {
    let block = lanes == nil ? width : units
    let count = (units + block - 1) / block * block * columns.count
    let result = node.temporary(reals: max(1, count))
    node.kernel(
      Self.packer, "pack_turned",
      [node.input(2), result, .int(units), .int(gates * units), .int(columns.lowerBound), .int(columns.count), .int(block), .int(count)], count: count)
    return result
  }

  // MARK: The walk

  private func each(_ line: (Int) -> String) -> String { (0..<samples).map(line).joined(separator: "\n") }

  private var barrier: String { lanes == nil ? "" : "barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);" }

  private func overUnits(_ body: String) -> String {
    lanes == nil
      ? "for (int u = 0; u < units; u += WIDTH) {\nint count = min(WIDTH, units - u);\n\(body)\n}"
      : "for (int u = lane; u < units; u += LANES) {\n\(body)\n}"
  }

  /// What a step's gates take of `down`, the slope of the new state; sets `rest`, the state's own share of it.
  private var cellBackward: String {
    func field(_ number: Int) -> String { "LDT(tr, \(number) * units + u)" }
    func put(_ number: Int, _ value: String, _ to: String = "dz") -> String { "STT(\(to), \(number) * units + u, \(value));" }
    switch rnn.cell {
    case .simple: return put(0, "down * act_slope(\(field(0)))") + " vec rest = 0;"
    case .lstm:
      return """
        vec i_ = \(field(0)), f_ = \(field(1)), g_ = \(field(2)), o_ = \(field(3)), old = \(field(4));
        vec c_ = cell_v(f_ * old + i_ * g_);
        vec flow = down * o_ * act_slope(c_) + LDF(dc, u);
        \(put(0, "flow * g_ * gate_slope(i_)"))
        \(put(1, "flow * old * gate_slope(f_)"))
        \(put(2, "flow * i_ * act_slope(g_)"))
        \(put(3, "down * c_ * gate_slope(o_)"))
        STF(dc, u, flow * f_);
        vec rest = 0;
        """
    case .gru, .gruResetAfter:
      return """
        vec z_ = \(field(0)), r_ = \(field(1)), g_ = \(field(2)), h_ = \(field(fields - 1));
        vec update = down * (h_ - g_) * gate_slope(z_), inner = down * (1 - z_) * act_slope(g_);
        \(put(0, "update"))
        \(put(2, "inner"))
        \(isReset
          ? "STT(cand, u, inner);"
          : "vec reset = inner * \(field(3)) * gate_slope(r_); \(put(1, "reset")) \(put(0, "update", "ds")) \(put(1, "reset", "ds")) \(put(2, "inner * r_", "ds"))")
        vec rest = down * z_;
        """
    }
  }

  /// The pointers of a sample's step.
  private func pointers(_ row: Int) -> String {
    """
    size_t place = (size_t)row\(row) * time + at;
    global real *dz = slopes + place * \(gates) * units;
    global const real *tr = trace + place * \(fields) * units;
    global float *dh = dh\(row), *dc = dc\(row), *last = last\(row);
    int masked = mask && mask[place] == 0;
    \(hasOwnSums ? "global real *ds = sums + place * \(gates) * units;" : "")
    \(isReset ? "global real *own = gated + place * units, *cand = candidate + place * units;" : "")
    """
  }

  private func zeros(_ to: String) -> String { (0..<gates).map { "STT(\(to), \($0) * units + u, nothing);" }.joined(separator: " ") }

  private func backward(_ row: Int) -> String {
    """
    { \(pointers(row))
      \(overUnits("""
        vec nothing = 0, held = LDF(last, u);
        \(rnn.returnSequences ? "held += LDT(dy, ((size_t)row\(row) * time + step) * units + u);" : "")
        STT(before, place * units + u, LDT(tr, \(fields - 1) * units + u));
        if (masked) {
          STF(last, u, \(rnn.zeroOutputForMask ? "nothing" : "held"));
          \(zeros("dz")) \(hasOwnSums ? zeros("ds") : "") \(isReset ? "STT(own, u, nothing); STT(cand, u, nothing);" : "")
        } else {
          vec down = LDF(dh, u) + held;
          STF(last, u, nothing);
          \(cellBackward)
          STF(dh, u, rest);
        }
        """)) }
    """
  }

  /// Sums over `depth` slopes from `from` with packed weights, for all samples: `s0`, … of the units at u.
  private func sums(_ depth: String, _ weights: String, from: (Int) -> String) -> String {
    let weight = lanes == nil ? "LDV(\(weights), (size_t)((u / WIDTH) * \(depth) + k) * WIDTH)" : "LD(\(weights), (size_t)k * units + u)"
    return """
      vec \((0..<samples).map { "s\($0) = 0" }.joined(separator: ", "));
      for (int k = 0; k < \(depth); k++) {
        vec w = \(weight);
        \(each { "s\($0) += LD(\(from($0)), k) * w;" })
      }
      """
  }

  private func slopes(_ row: Int, _ name: String, _ count: Int) -> String { "(\(name) + ((size_t)row\(row) * time + at) * \(count) * units)" }

  /// The reset gate's slope, from the candidate's.
  private var resetBackward: String {
    overUnits(
      """
      \(sums("units", "candidate_weights") { slopes($0, "candidate", 1) })
      \(each { row in
        """
        { \(pointers(row))
          if (!masked) {
            vec r_ = LDT(tr, units + u), h_ = LDT(tr, 3 * units + u);
            STT(dz, units + u, s\(row) * h_ * gate_slope(r_));
            STF(dh, u, LDF(dh, u) + s\(row) * r_);
            STT(own, u, r_ * h_);
          } }
        """
      })
      """)
  }

  var source: KernelSource {
    let states = hasOwnSums ? "sums" : "slopes"
    let rows = lanes == nil ? "int first = get_global_id(0) * \(samples);\nif (first >= batch) return;" : "int lane = get_local_id(0), first = get_global_id(1);"
    let text = """
      \(RecurrentKernel.elementFunctions(lanes == nil))
      static vec slopes_of(vec v, int which) {
        union { vec v; float e[WIDTH]; } u;
        u.v = v;
        for (int j = 0; j < WIDTH; j++) { float y = u.e[j]; u.e[j] = which ? (\(Self.slope(rnn.recurrentActivation))) : (\(Self.slope(rnn.activation))); }
        return u.v;
      }
      \(RecurrentKernel.vectorFunction("cell_v", rnn.activation, 0))
      \(Self.slopeFunction("act_slope", rnn.activation, 0))
      \(Self.slopeFunction("gate_slope", rnn.recurrentActivation, 1))
      kernel void rnn_gradient(\(Self.parameters)) {
        \(rows)
        int padded = (units + WIDTH - 1) / WIDTH * WIDTH;
      \(each { row in
        """
          int row\(row) = min(first + \(row), batch - 1);
          global float *dh\(row) = scratch + (size_t)(first + \(row)) * \(Self.states) * padded, *dc\(row) = dh\(row) + padded, *last\(row) = dc\(row) + padded;
          \(overUnits("""
            vec nothing = 0;
            STF(dh\(row), u, LDT(dh_end, (size_t)row\(row) * units + u));
            STF(dc\(row), u, \(rnn.cell == .lstm ? "LDT(dc_end, (size_t)row\(row) * units + u)" : "nothing"));
            STF(last\(row), u, \(rnn.returnSequences ? "nothing" : "LDT(dy, (size_t)row\(row) * units + u)"));
            """))
        """
      })
        \(barrier)
        for (int step = time - 1; step >= 0; step--) {
          int at = \(rnn.goBackwards ? "time - 1 - step" : "step");
          \(each(backward))
          \(barrier)
          \(isReset ? resetBackward + "\n" + barrier : "")
          \(overUnits("""
            \(sums("\(through / max(1, units)) * units", "weights") { slopes($0, states, gates) })
            \(each { "STF(dh\($0), u, LDF(dh\($0), u) + s\($0));" })
            """))
          \(barrier)
        }
      \(each { row in
        overUnits(
          """
          if (start_dh) STT(start_dh, (size_t)row\(row) * units + u, LDF(dh\(row), u));
          if (start_dc) STT(start_dc, (size_t)row\(row) * units + u, LDF(dc\(row), u));
          """)
      })
      }
      """
    return KernelSource(text, RecurrentKernel.accessDefines(width, lanes: lanes) + RecurrentKernel.activationDefines(rnn))
  }

  // MARK: Slopes

  /// The slope of a function from its value y.
  private static func slope(_ activation: Activation) -> String {
    let p = activation.parameters.map { ScalarPrinter.literal($0, .float32) }
    switch activation.function {
    case .tanh: return "1 - y * y"
    case .sigmoid: return "y * (1 - y)"
    case .relu: return "y > 0 ? 1 : 0"
    case .hardSigmoid: return "y > 0 && y < 1 ? \(p[0]) : 0"
    case .exp: return "y"
    case .softsign: return "(1 - fabs(y)) * (1 - fabs(y))"
    case .softplus: return "-expm1(-y)"
    case .elu: return "y > 0 ? 1 : y + \(p[0])"
    case .selu: return "y > 0 ? 1.0507009873554805f : y + 1.7580993408473766f"
    case .leakyRelu: return "y > 0 ? 1 : \(p[0])"
    case .clip: return "y > \(p[0]) && y < \(p[1]) ? 1 : 0"
    default: return "1"
    }
  }

  private static func slopeFunction(_ name: String, _ activation: Activation, _ which: Int) -> String {
    let isPlain = [.tanh, .sigmoid, .exp, .softsign].contains(activation.function)
    let body = isPlain ? slope(activation) : activation.function == .identity ? "(vec)(1)" : "slopes_of(y, \(which))"
    return "static vec \(name)(vec y) { return \(body); }"
  }
}
