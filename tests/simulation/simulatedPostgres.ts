/** A Postgres that can be asked over a network that fails: sessions for the ledger's connections, on the simulated ledger. */
import type { QueryResultRow } from 'pg'
import type { OpenSession, SqlClient, SqlResult } from '../../src/ledger/sqlClient.ts'
import { SqlError, type FakePostgres } from './fakePostgres.ts'
import type { Random } from './random.ts'
import { PACES, type Traps, type Weather } from './weather.ts'
import type { Life, World } from './world.ts'

export interface PostgresParts {
  readonly world: World
  readonly database: FakePostgres
  readonly weather: Weather
  readonly traps: Traps
  /** Called after each statement that was carried out, for a process that may have died since. */
  /** `isHeard`: the session that it came by is still there for its answer. */
  readonly onStatement: (sender: Life, isHeard: boolean) => void
}

interface Session {
  readonly life: Life
  /** How slow the network is between the two. */
  readonly pace: number
  open: boolean
  /** The client learns that the session has ended. */
  readonly lose: (error?: Error) => void
}

export class SimulatedPostgres {
  readonly #parts: PostgresParts
  readonly #sessions = new Set<Session>()
  #up = true
  #stalledUntilMs = 0
  /** Processes that cannot reach it, and until when. */
  readonly #cutOff = new Map<string, number>()

  constructor(parts: PostgresParts) {
    this.#parts = parts
  }

  get up(): boolean {
    return this.#up
  }

  /** All sessions end; what has not arrived is lost. */
  stop(): void {
    this.#up = false
    for (const session of this.#sessions) session.lose()
    this.#sessions.clear()
  }

  start(): void {
    this.#up = true
  }

  /** One process cannot reach it for a while. */
  cutOff(process: string, untilMs: number): void {
    this.#cutOff.set(process, untilMs)
    for (const session of this.#sessions) if (session.life.name.startsWith(`${process}.`)) session.lose()
  }

  mend(): void {
    this.#cutOff.clear()
  }

  /** It stands still for a while, and then goes on with all that has arrived. */
  stall(untilMs: number): void {
    this.#stalledUntilMs = untilMs
  }

  sessionsOf(life: Life): OpenSession {
    const { world } = this.#parts
    const random = world.stream('sql', life.name)
    const pace = random.pick(PACES)
    return ({ connectMs, onLost }) =>
      new Promise((resolve, reject) => {
        const open = (): void => {
          if (world.nowMs < this.#stalledUntilMs) reject(new Error('timeout expired'))
          else if (!this.#up || (this.#cutOff.get(life.name.split('.')[0] ?? '') ?? 0) > world.nowMs)
            reject(new Error('connect ECONNREFUSED'))
          else resolve(this.#session(life, random, pace, onLost))
        }
        const delayMs = world.nowMs < this.#stalledUntilMs ? connectMs : 1 + random.fraction() * 4
        world.schedule(delayMs, 'sql connect', open, life)
      })
  }

  #session(life: Life, random: Random, pace: number, onLost: (error: unknown) => void): SqlClient {
    const { world } = this.#parts
    const waiting = new Set<(error: Error) => void>()
    const session: Session = {
      life,
      pace,
      open: true,
      lose: (error = new Error('Connection terminated unexpectedly')) => {
        if (!session.open) return
        session.open = false
        this.#sessions.delete(session)
        const tell = (): void => {
          for (const reject of waiting) reject(error)
          onLost(error)
        }
        world.schedule(random.fraction() * 3, 'sql lost', tell, life)
      },
    }
    this.#sessions.add(session)
    const close = (): void => {
      session.open = false
      this.#sessions.delete(session)
    }
    return {
      query: <Row extends QueryResultRow>(statement: { readonly name: string }, values: readonly unknown[]) => {
        const { promise, resolve, reject } = Promise.withResolvers<SqlResult<Row>>()
        waiting.add(reject)
        this.#send(session, random, statement.name, values, {
          resolve: (result) => {
            waiting.delete(reject)
            resolve(result as SqlResult<Row>)
          },
          reject: (error) => {
            waiting.delete(reject)
            reject(error)
          },
        })
        return promise
      },
      end: async () => {
        close()
      },
      cut: close,
    }
  }

  #send(session: Session, random: Random, name: string, values: readonly unknown[], reply: Reply): void {
    const { world, weather, traps } = this.#parts
    if (!session.open) {
      world.schedule(0, 'sql refused', () => reply.reject(new Error('Connection terminated')), session.life)
      return
    }
    const { life, pace } = session
    const fate = weather.fate(life.name, world.nowMs, random)
    if (fate !== 'well') world.note(() => `${life.name}: ${name} will meet: ${fate}`)
    // What was handed to the network of a process that dies may still arrive.
    const caught = name === 'commit_batch' ? traps.reached(life.name, 'sent') : undefined
    const arrives = random.chance(0.5) || caught !== undefined
    const arrivesMs = caught?.lateMs ?? 0.2 + random.fraction() * (fate === 'slow' ? 20_000 : 3 * pace)
    const repliesMs = 0.2 + random.fraction() * 2 * pace
    const secondMs = random.fraction() * 50
    const later = (delayMs: number, run: () => void): void => {
      world.schedule(delayMs, 'sql reply', () => session.open && run(), life)
    }
    const carryOut = (): SqlResult<QueryResultRow> | Error => {
      if (!this.#up) return new Error('Connection terminated')
      try {
        const result = this.#parts.database.execute(name, values)
        this.#parts.onStatement(life, session.open)
        if (name === 'commit_batch') traps.reached(life.name, 'committed')
        return result
      } catch (error) {
        if (error instanceof SqlError) return error
        throw error
      }
    }
    const answer = (result: SqlResult<QueryResultRow> | Error): void => {
      later(repliesMs, () => {
        if (result instanceof Error) reply.reject(result)
        else reply.resolve(result)
      })
    }
    const arrive = (): void => {
      if (world.nowMs < this.#stalledUntilMs) {
        world.schedule(this.#stalledUntilMs - world.nowMs, name, arrive)
        return
      }
      if (!this.#up || (!life.alive && !arrives)) return
      switch (fate) {
        case 'lostCall':
          session.lose()
          return
        case 'lostReply':
          carryOut()
          session.lose()
          return
        case 'killed':
          if (arrives) carryOut()
          session.lose(new SqlError('57P01', 'terminating connection due to administrator command', 'FATAL'))
          return
        case 'deadlock':
          answer(new SqlError('40P01', 'deadlock detected'))
          return
        case 'cannotWrite':
          answer(arrives ? new SqlError('53100', 'no space left on device') : new SqlError('25006', 'read-only transaction'))
          return
        case 'doubled':
          // A driver takes the first answer for the answer.
          answer(carryOut())
          world.schedule(secondMs, name, carryOut)
          return
        case 'well':
        // Of disks only.
        case 'ioError':
        case 'slow':
          answer(carryOut())
      }
    }
    world.schedule(arrivesMs, name, arrive)
  }
}

interface Reply {
  readonly resolve: (result: SqlResult<QueryResultRow>) => void
  readonly reject: (error: Error) => void
}
