/**
 * Which branches an input reached, counted exactly: as a module of `src` is loaded, a counter is written into each function, each arm of an
 * if, `?:`, `&&`, `||` and `??`, each case, loop and catch, into the TypeScript itself, before Node.js erases its types. No line moves, so
 * that stack traces stay right. The literals of the code are collected on the way: what it compares with is a good thing to try.
 */
import { readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

export interface Coverage {
  /** How often each place was reached since somebody cleared it; one per place up to `places()`. */
  readonly counters: Uint16Array
  places(): number
  /** Strings of the files that have a place in `reached`, and their numbers as one or two bytes; however many others are loaded. */
  literals(reached: (place: number) => boolean): readonly Buffer[]
}

const PLACES_MAX = 1 << 15
const LITERAL_BYTES_MAX = 12
const COUNTERS = '__reached'

/** Counts in every module that is imported from now on and that `covers` says yes to. Only once in a process or worker. */
export function countBranches(covers: (file: string) => boolean): Coverage {
  const counters = new Uint16Array(PLACES_MAX)
  Object.assign(globalThis, { [COUNTERS]: counters })
  let places = 0
  const files: { readonly file: string; readonly from: number; readonly to: number; readonly literals: readonly Buffer[] }[] = []
  registerHooks({
    load(url, context, nextLoad) {
      if (!url.startsWith('file:') || !url.endsWith('.ts')) return nextLoad(url, context)
      const file = fileURLToPath(url)
      if (!covers(file)) return nextLoad(url, context)
      const from = places
      const source = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest, true)
      const counting = withCounters(source, () => {
        if (places === PLACES_MAX) throw new RangeError('more branches than there are counters')
        return `${COUNTERS}[${String(places++)}]++`
      })
      files.push({ file, from, to: places, literals: literalsOf(source) })
      return { format: 'module-typescript', source: counting, shortCircuit: true }
    },
  })
  return {
    counters,
    places: () => places,
    literals: (reached) => {
      const used = files.filter(({ from, to }) => Array.from({ length: to - from }, (_, index) => from + index).some(reached))
      const unique = new Map(
        used.flatMap(({ literals }) => literals.map((literal) => [literal.toString('hex'), literal] as const)),
      )
      return [...unique.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, literal]) => literal)
    },
  }
}

/** The source with `count()` written into each branch. */
function withCounters(source: ts.SourceFile, count: () => string): string {
  const { text } = source
  return render(source)

  function render(node: ts.Node): string {
    let out = ''
    let at = node.getFullStart()
    ts.forEachChild(node, (child) => {
      out += text.slice(at, child.getFullStart()) + (ts.isTypeNode(child) ? child.getFullText(source) : renderIn(node, child))
      at = child.end
    })
    return out + text.slice(at, node.end)
  }

  function renderIn(parent: ts.Node, child: ts.Node): string {
    if (ts.isIfStatement(parent) && child !== parent.expression) {
      const arm = `{${count()};${render(child)}}`
      // Not to take an arm is a branch too.
      return parent.elseStatement === undefined ? `${arm}else{${count()}}` : arm
    }
    if (ts.isIterationStatement(parent, false) && child === parent.statement) return `{${count()};${render(child)}}`
    if (isArm(parent, child)) return `(${count()},${render(child)})`
    if (ts.isBlock(child) && (ts.isFunctionLike(parent) || ts.isCatchClause(parent))) {
      const rendered = render(child)
      const brace = rendered.indexOf('{', child.getStart(source) - child.getFullStart())
      return `${rendered.slice(0, brace + 1)}${count()};${rendered.slice(brace + 1)}`
    }
    if (ts.isCaseOrDefaultClause(parent) && child === parent.statements[0]) return `${count()};${render(child)}`
    return render(child)
  }
}

/** An expression that is not always evaluated. */
function isArm(parent: ts.Node, child: ts.Node): boolean {
  if (ts.isConditionalExpression(parent)) return child === parent.whenTrue || child === parent.whenFalse
  if (ts.isArrowFunction(parent)) return child === parent.body && !ts.isBlock(child)
  if (!ts.isBinaryExpression(parent) || child !== parent.right) return false
  switch (parent.operatorToken.kind) {
    case ts.SyntaxKind.AmpersandAmpersandToken:
    case ts.SyntaxKind.BarBarToken:
    case ts.SyntaxKind.QuestionQuestionToken:
      return true
    default:
      return false
  }
}

function literalsOf(source: ts.SourceFile): Buffer[] {
  const found: Buffer[] = []
  const add = (bytes: Buffer): void => {
    if (bytes.length > 0 && bytes.length <= LITERAL_BYTES_MAX) found.push(bytes)
  }
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) return
    if (ts.isStringLiteral(node)) add(Buffer.from(node.text, 'latin1'))
    if (ts.isNumericLiteral(node)) {
      const value = Number(node.text)
      if (value > 0 && value < 0x100) add(Buffer.of(value))
      else if (value < 0x10000 && Number.isInteger(value)) add(Buffer.of(value >> 8, value & 0xff))
    }
    ts.forEachChild(node, visit)
  }
  visit(source)
  return found
}
