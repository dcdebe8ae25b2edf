/** The disk of a machine as its processes have it: slow, full and failing at times, and cut short where a process dies. */
import type { Disk, DiskFile } from '../../src/standin/disk.ts'
import { DiskError, type FakeDisk } from './fakeDisk.ts'
import type { Random } from './random.ts'
import type { Fate, Traps, Weather } from './weather.ts'
import type { Life, World } from './world.ts'

export interface DiskParts {
  readonly world: World
  readonly weather: Weather
  readonly traps: Traps
}

export class SimulatedDisk {
  readonly #parts: DiskParts
  readonly contents: FakeDisk
  /** It has failed, or lost what was not synchronised: what the switch reports of its journals has a reason. */
  hasFailed = false

  constructor(contents: FakeDisk, parts: DiskParts) {
    this.contents = contents
    this.#parts = parts
  }

  /** For one process. */
  of(life: Life): Disk {
    return diskOf(life, this, this.#parts)
  }
}

function diskOf(life: Life, disk: SimulatedDisk, { world, weather, traps }: DiskParts): Disk {
  const random = world.stream('disk', life.name)
  const { contents } = disk
  const act = <T>(label: string, path: string, run: () => T, failed?: (fate: Fate) => void): Promise<T> =>
    acted(
      { world, life, random, fate: weather.fate(life.name, world.nowMs, random) },
      label,
      () => run(),
      (fate) => {
        disk.hasFailed = true
        world.note(() => `${life.name}: ${label} of ${path} fails: ${fate}`)
        failed?.(fate)
        throw new DiskError(fate === 'cannotWrite' ? 'ENOSPC' : 'EIO', path)
      },
    )
  return {
    makeDirectory: (path) => act('disk mkdir', path, () => contents.makeDirectory(path)),
    list: (path) => act('disk list', path, () => contents.list(path)),
    read: (path) => act('disk read', path, () => contents.read(path)),
    create: (path) =>
      act('disk create', path, (): DiskFile => {
        contents.create(path)
        return fileOf(path)
      }),
    rename: (from, to) => act('disk rename', from, () => contents.rename(from, to)),
    remove: (path) => act('disk remove', path, () => contents.remove(path)),
    syncDirectory: (path) => act('disk sync', path, () => contents.syncDirectory(path)),
    lock: (path) =>
      act('disk lock', path, () => {
        const name = contents.lock(path, life)
        return name === undefined
          ? undefined
          : { release: () => act('disk release', path, () => contents.remove(`${path}/${name}`)) }
      }),
  }

  function fileOf(path: string): DiskFile {
    const handle = contents.handle(path)
    return {
      // A process that dies between the two leaves a record that is cut short.
      append: async (bytes) => {
        const cut = random.between(0, bytes.length)
        const part = (): void => handle.append(bytes.subarray(0, cut))
        await act('disk write', path, part, () => random.chance(0.7) && part())
        await act('disk write', path, () => handle.append(bytes.subarray(cut)))
        traps.reached(life.name, 'written')
      },
      sync: () =>
        act(
          'disk sync',
          path,
          () => {
            handle.sync()
            traps.reached(life.name, 'durable')
          },
          () => handle.spoil(),
        ),
      close: () => act('disk close', path, () => undefined),
    }
  }
}

interface Acting {
  readonly world: World
  readonly life: Life
  readonly random: Random
  readonly fate: Fate
}

/** What a dead process had not done by then is never done. */
function acted<T>({ world, life, random, fate }: Acting, label: string, run: () => T, fails: (fate: Fate) => never): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>()
  const isCheap = label === 'disk close' || label === 'disk list' || label === 'disk read'
  const happensMs = fate === 'slow' ? random.fraction() * 3_000 : random.fraction() * (label === 'disk sync' ? 6 : 0.3)
  const toldMs = random.fraction() * 0.3
  const failsNow = fate === 'ioError' || (fate === 'cannotWrite' && !isCheap && label !== 'disk sync' && label !== 'disk remove')
  world.schedule(
    happensMs,
    label,
    () => {
      let finish: () => void
      try {
        const value = failsNow ? fails(fate) : run()
        finish = () => resolve(value)
      } catch (error) {
        if (!(error instanceof DiskError)) throw error
        finish = () => reject(error)
      }
      world.schedule(toldMs, 'disk done', finish, life)
    },
    life,
  )
  return promise
}
