/**
 * Under which account the private Postgres runs. Postgres refuses to run as root, so root starts it as another account,
 * which must be able to reach the server's binaries and its own data.
 */
import { spawnSync } from 'node:child_process'
import { StartError } from './startError.ts'

/** `nobody` exists everywhere; `postgres` where a Postgres was ever installed. initdb insists on an account with a name. */
const ACCOUNTS = ['postgres', 'nobody']

export interface Account {
  readonly uid: number
  readonly gid: number
}

export interface Command {
  readonly file: string
  readonly args: readonly string[]
  readonly account?: Account
}

/** The account that root hands Postgres to; undefined where we are an ordinary user and simply stay who we are. */
export function unprivilegedAccount(): Account | undefined {
  if (process.getuid?.() !== 0) return undefined
  for (const name of ACCOUNTS) {
    const [uid, gid] = [id('-u', name), id('-g', name)]
    if (uid !== undefined && gid !== undefined) return { uid, gid }
  }
  throw new StartError(
    'Postgres does not run as root and there is no account postgres or nobody; add one (useradd postgres) or set DATABASE_URL',
  )
}

/**
 * How to run `file` as `account` in `directory`. Where the account cannot reach them (a checkout in /root, say), the
 * process keeps one right of root's: to pass through directories that are not its own.
 */
export function commandAs(account: Account | undefined, file: string, directory: string): Command {
  if (account === undefined) return { file, args: [] }
  const why = whyNot({ file: '/bin/sh', args: [], account }, file, directory)
  if (why === undefined) return { file, args: [], account }
  const { uid, gid } = account
  const args = [`--reuid=${String(uid)}`, `--regid=${String(gid)}`, '--clear-groups']
  // access(2) looks with the real user's rights, without capabilities, unless no_setuid_fixup says otherwise (capabilities(7)).
  const rights = ['--securebits=+no_setuid_fixup', '--inh-caps=+dac_override', '--ambient-caps=+dac_override']
  const setpriv = { file: 'setpriv', args: [...args, ...rights] }
  if (whyNot({ file: 'setpriv', args: [...setpriv.args, '/bin/sh'] }, file, directory) === undefined) {
    return { file: 'setpriv', args: [...setpriv.args, file] }
  }
  throw new StartError(
    `Postgres does not run as root, and account ${String(uid)} ${why}; move what is in a private directory out of it (to /opt, say), ` +
      'let every account run the programs, start as an ordinary user, or set DATABASE_URL',
  )
}

/** What whoever runs that shell cannot do: run `file`, or write in `directory`. Undefined where both are possible. */
function whyNot(shell: Command, file: string, directory: string): string | undefined {
  const script = '"$1" --version > /dev/null || exit 2; test -w "$2"'
  const probe = spawnSync(shell.file, [...shell.args, '-c', script, 'sh', file, directory], {
    ...shell.account,
    encoding: 'utf8',
  })
  if (probe.status === 0) return undefined
  if (probe.status === 1) return `cannot reach ${directory}`
  return `cannot run ${file} (${probe.error?.message ?? probe.stderr.trim().split('\n').at(-1) ?? ''})`
}

function id(flag: string, name: string): number | undefined {
  const answer = spawnSync('id', [flag, name], { encoding: 'utf8' })
  return answer.status === 0 ? Number(answer.stdout) : undefined
}
