// Numbers and times as people read them.

const times = new Intl.DateTimeFormat(undefined, {
  month: "short",
  day: "numeric",
  hour: "2-digit",
  minute: "2-digit",
});
const longTimes = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const numbers = new Intl.NumberFormat();

export const formatCount = (count) => numbers.format(count);

export function formatTime(timestamp) {
  if (!timestamp) return "time unknown";
  const moment = new Date(timestamp);
  const year = moment.getFullYear() === new Date().getFullYear() ? "" : `${moment.getFullYear()} `;
  return year + times.format(moment);
}

export const formatLongTime = (timestamp) => (timestamp ? longTimes.format(new Date(timestamp)) : "time unknown");

export function formatDuration(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  return minutes < 60 ? `${minutes} min ${whole % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function formatBytes(size) {
  let value = size;
  for (const unit of ["bytes", "kB", "MB", "GB"]) {
    if (value < 1000) return unit === "bytes" ? `${value} bytes` : `${value.toFixed(1)} ${unit}`;
    value /= 1000;
  }
  return `${value.toFixed(1)} TB`;
}

export const plural = (count, word) => `${formatCount(count)} ${word}${count === 1 ? "" : "s"}`;

export function formatSeed(job) {
  if (job.seed === null || job.seed === undefined) return "";
  return job.seed_count > 1 ? `${job.seed} +${job.seed_count - 1}` : String(job.seed);
}
