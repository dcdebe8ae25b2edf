/**
 * Import direction. A folder imports only folders above it in this list (the way of a message, as spec/architecture.md
 * draws it) and the shared nouns beside main.ts.
 */
const LAYERS = [
  'transport',
  'iso8583',
  'security',
  'transaction',
  'purse',
  'decision',
  'ledger',
  'standin',
  'response',
  'programme',
  'settlement',
  'admin',
  'workers',
  'local',
  'cli',
]
/** What anything may import; they import nothing but each other. */
const SHARED =
  '^src/(assert|bankSettings|breaker|card|clock|config|diskWatch|log|metrics|money|noticeTemplates|personalData|programmeParameters|securityParameters|settings|stage|tallies|watch)\\.ts$'
/** What only wires parts together; nothing in a folder imports it. `local` starts it, and `admin` and `cli` call it. */
const WIRING =
  '^src/(main|answerMessage|authorize|cardFollower|cardLookup|chipAnswer|departure|hotCards|holderVerification|linkKeys|macGate|networkManagement|originalLookup|passage|passageItem|pinTurns|reconciler|standInLine|standInPosting|startStandIn|terminalGate|upkeep|watchResources)\\.ts$'

const upward = LAYERS.slice(0, -1).map((layer, index) => ({
  name: `${layer}-imports-upward`,
  comment: `src/${layer} may import the folders above it in the list only`,
  severity: 'error',
  from: { path: `^src/${layer}/` },
  to: { path: `^src/(${LAYERS.slice(index + 1).join('|')})/` },
}))

const only = (name, what, where) => ({
  name: `only-${name}`,
  comment: `only ${where} may use ${what}`,
  severity: 'error',
  from: { path: '^src/', pathNot: where },
  to: { path: what },
})

/** @type {import('dependency-cruiser').IConfiguration} */
const configuration = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    { name: 'no-unresolved', severity: 'error', from: {}, to: { couldNotResolve: true } },
    ...upward,
    {
      name: 'shared-nouns-stand-alone',
      severity: 'error',
      from: { path: SHARED },
      to: { path: '^src/', pathNot: SHARED },
    },
    {
      name: 'wiring-is-on-top',
      severity: 'error',
      from: { path: '^src/[^/]+/', pathNot: '^src/(admin|local|cli)/' },
      to: { path: WIRING },
    },
    { name: 'src-stands-alone', severity: 'error', from: { path: '^src/' }, to: { path: '^(tests|benchmarks)/' } },
    {
      name: 'no-development-packages',
      severity: 'error',
      from: { path: '^src/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'] },
    },
    only('transport-has-sockets', '^(node:)?(net|tls)$', '^src/(transport/|local/ports\\.ts)'),
    only('decision-has-redis', 'node_modules/ioredis/', '^src/decision/'),
    only('ledger-has-postgres', 'node_modules/(pg|pg-copy-streams|node-pg-migrate)/', '^src/ledger/'),
    only('security-has-pkcs11', 'node_modules/pkcs11js/', '^src/security/'),
    only('workers-has-processes', '^(node:)?cluster$', '^src/workers/'),
    only('admin-has-http', 'node_modules/(fastify|@fastify/[^/]+)/', '^src/admin/'),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    // `import type` too: a type is a dependency of the reader.
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default', 'types'] },
  },
}

// eslint-disable-next-line no-restricted-exports -- dependency-cruiser takes its configuration from a default export
export default configuration
