import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Outlet,
  redirect,
} from '@tanstack/react-router'
import { Gate } from './components/gate'
import { Broken, Missing } from './components/missing'
import { texts } from './util/search-params'

const root = createRootRoute({
  component: Outlet,
  notFoundComponent: Missing,
  errorComponent: Broken,
})

const setup = createRoute({
  getParentRoute: () => root,
  path: '/setup',
  component: lazyRouteComponent(() => import('./pages/setup')),
})

/** All that is shown to those who are logged in. */
const inside = createRoute({ getParentRoute: () => root, id: 'inside', component: Gate })

const home = createRoute({
  getParentRoute: () => inside,
  path: '/',
  beforeLoad: () => {
    throw redirect({ to: '/devices', replace: true })
  },
})

const devices = createRoute({
  getParentRoute: () => inside,
  path: '/devices',
  validateSearch: texts('q', 'status', 'client', 'site', 'os', 'sort', 'hide'),
  component: lazyRouteComponent(() => import('./pages/devices/devices')),
})

const device = createRoute({
  getParentRoute: () => inside,
  path: '/devices/$agentId',
  component: lazyRouteComponent(() => import('./pages/device/device')),
})
const deviceOverview = createRoute({
  getParentRoute: () => device,
  path: '/',
  component: lazyRouteComponent(() => import('./pages/device/overview')),
})
const deviceCommands = createRoute({
  getParentRoute: () => device,
  path: '/commands',
  component: lazyRouteComponent(() => import('./pages/device/commands')),
})
const deviceAlerts = createRoute({
  getParentRoute: () => device,
  path: '/alerts',
  component: lazyRouteComponent(() => import('./pages/device/alerts')),
})
const deviceInventory = createRoute({
  getParentRoute: () => device,
  path: '/inventory',
  validateSearch: texts('section', 'q'),
  component: lazyRouteComponent(() => import('./pages/device/inventory')),
})
const deviceServices = createRoute({
  getParentRoute: () => device,
  path: '/services',
  validateSearch: texts('q'),
  component: lazyRouteComponent(() => import('./pages/device/services')),
})
const deviceProcesses = createRoute({
  getParentRoute: () => device,
  path: '/processes',
  validateSearch: texts('q', 'sort'),
  component: lazyRouteComponent(() => import('./pages/device/processes')),
})
const deviceRegistry = createRoute({
  getParentRoute: () => device,
  path: '/registry',
  validateSearch: texts('key'),
  component: lazyRouteComponent(() => import('./pages/device/registry')),
})
const deviceFiles = createRoute({
  getParentRoute: () => device,
  path: '/files',
  validateSearch: texts('path'),
  component: lazyRouteComponent(() => import('./pages/device/files')),
})
const devicePolicy = createRoute({
  getParentRoute: () => device,
  path: '/policy',
  component: lazyRouteComponent(() => import('./pages/device/policy')),
})
const deviceActivity = createRoute({
  getParentRoute: () => device,
  path: '/activity',
  component: lazyRouteComponent(() => import('./pages/device/activity')),
})

const clients = createRoute({
  getParentRoute: () => inside,
  path: '/clients',
  validateSearch: texts('q', 'sort'),
  component: lazyRouteComponent(() => import('./pages/clients/clients')),
})
const client = createRoute({
  getParentRoute: () => inside,
  path: '/clients/$clientId',
  component: lazyRouteComponent(() => import('./pages/clients/client')),
})
const alerts = createRoute({
  getParentRoute: () => inside,
  path: '/alerts',
  validateSearch: texts('status', 'severity'),
  component: lazyRouteComponent(() => import('./pages/alerts/alerts')),
})
const maintenance = createRoute({
  getParentRoute: () => inside,
  path: '/maintenance',
  component: lazyRouteComponent(() => import('./pages/alerts/maintenance')),
})
const software = createRoute({
  getParentRoute: () => inside,
  path: '/software',
  validateSearch: texts('q'),
  component: lazyRouteComponent(() => import('./pages/software/software')),
})
const inventory = createRoute({
  getParentRoute: () => inside,
  path: '/inventory',
  validateSearch: texts('q', 'section'),
  component: lazyRouteComponent(() => import('./pages/software/inventory')),
})
const jobs = createRoute({
  getParentRoute: () => inside,
  path: '/jobs',
  component: lazyRouteComponent(() => import('./pages/jobs/jobs')),
})
const job = createRoute({
  getParentRoute: () => inside,
  path: '/jobs/$jobId',
  validateSearch: texts('status'),
  component: lazyRouteComponent(() => import('./pages/jobs/job')),
})
const commands = createRoute({
  getParentRoute: () => inside,
  path: '/commands',
  validateSearch: texts('status'),
  component: lazyRouteComponent(() => import('./pages/jobs/commands')),
})
const command = createRoute({
  getParentRoute: () => inside,
  path: '/commands/$commandId',
  component: lazyRouteComponent(() => import('./pages/jobs/command')),
})
const scripts = createRoute({
  getParentRoute: () => inside,
  path: '/scripts',
  validateSearch: texts('q', 'sort'),
  component: lazyRouteComponent(() => import('./pages/scripts/scripts')),
})
const script = createRoute({
  getParentRoute: () => inside,
  path: '/scripts/$scriptId',
  component: lazyRouteComponent(() => import('./pages/scripts/script')),
})
const schedules = createRoute({
  getParentRoute: () => inside,
  path: '/schedules',
  validateSearch: texts('q', 'sort'),
  component: lazyRouteComponent(() => import('./pages/schedules/schedules')),
})
const schedule = createRoute({
  getParentRoute: () => inside,
  path: '/schedules/$scheduleId',
  component: lazyRouteComponent(() => import('./pages/schedules/schedule')),
})
const sessions = createRoute({
  getParentRoute: () => inside,
  path: '/sessions',
  validateSearch: texts('q', 'show', 'sort'),
  component: lazyRouteComponent(() => import('./pages/sessions/sessions')),
})
const recordings = createRoute({
  getParentRoute: () => inside,
  path: '/recordings',
  validateSearch: texts('state'),
  component: lazyRouteComponent(() => import('./pages/sessions/recordings')),
})
const recording = createRoute({
  getParentRoute: () => inside,
  path: '/recordings/$recordingId',
  component: lazyRouteComponent(() => import('./pages/sessions/recording')),
})
const policies = createRoute({
  getParentRoute: () => inside,
  path: '/policies',
  component: lazyRouteComponent(() => import('./pages/policies/policies')),
})
const policy = createRoute({
  getParentRoute: () => inside,
  path: '/policies/$policyId',
  validateSearch: texts('level', 'target'),
  component: lazyRouteComponent(() => import('./pages/policies/policy')),
})
const updates = createRoute({
  getParentRoute: () => inside,
  path: '/updates',
  component: lazyRouteComponent(() => import('./pages/updates/updates')),
})
const rollout = createRoute({
  getParentRoute: () => inside,
  path: '/updates/$rolloutId',
  component: lazyRouteComponent(() => import('./pages/updates/rollout')),
})
const enrolment = createRoute({
  getParentRoute: () => inside,
  path: '/enrolment',
  component: lazyRouteComponent(() => import('./pages/enrolment/enrolment')),
})
const users = createRoute({
  getParentRoute: () => inside,
  path: '/users',
  validateSearch: texts('q', 'sort', 'role'),
  component: lazyRouteComponent(() => import('./pages/users/users')),
})
const apiKeys = createRoute({
  getParentRoute: () => inside,
  path: '/keys',
  validateSearch: texts('q', 'all'),
  component: lazyRouteComponent(() => import('./pages/keys/keys')),
})
const notifications = createRoute({
  getParentRoute: () => inside,
  path: '/notifications',
  component: lazyRouteComponent(() => import('./pages/notifications/notifications')),
})
const audit = createRoute({
  getParentRoute: () => inside,
  path: '/audit',
  validateSearch: texts('q', 'action', 'outcome', 'from', 'to', 'agent', 'user', 'session'),
  component: lazyRouteComponent(() => import('./pages/audit/audit')),
})
const settings = createRoute({
  getParentRoute: () => inside,
  path: '/settings',
  component: lazyRouteComponent(() => import('./pages/settings/settings')),
})

const tree = root.addChildren([
  setup,
  inside.addChildren([
    home,
    devices,
    device.addChildren([
      deviceOverview,
      deviceCommands,
      deviceAlerts,
      deviceInventory,
      deviceServices,
      deviceProcesses,
      deviceRegistry,
      deviceFiles,
      devicePolicy,
      deviceActivity,
    ]),
    clients,
    client,
    alerts,
    maintenance,
    software,
    inventory,
    jobs,
    job,
    commands,
    command,
    scripts,
    script,
    schedules,
    schedule,
    sessions,
    recordings,
    recording,
    policies,
    policy,
    updates,
    rollout,
    enrolment,
    users,
    apiKeys,
    notifications,
    audit,
    settings,
  ]),
])

export const router = createRouter({
  routeTree: tree,
  defaultPreload: 'intent',
  defaultPreloadStaleTime: 0,
  scrollRestoration: true,
})

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router
  }
}
