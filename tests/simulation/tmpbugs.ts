import { BUGS } from '/work/wt/sim/tests/simulation/bugs.ts'
import { carryOut } from '/work/wt/sim/tests/simulation/history.ts'
import { planOf } from '/work/wt/sim/tests/simulation/plan.ts'
for (const bug of BUGS) {
  let steps=0, found: string|undefined, s=1
  const t=performance.now()
  for (; s<=150 && found===undefined; s++){ const r=await carryOut(planOf(s),bug); steps+=r.steps; found=r.failure }
  console.log(bug.name.padEnd(22), found===undefined?'NOT FOUND':`seed ${s-1}`, steps, (performance.now()-t).toFixed(0)+'ms', (found??'').slice(0,160))
}
