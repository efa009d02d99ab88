"""How every page looks, and what it may do: Airflow's colours and type, light, dark and on paper; no script.

The colours are those of Airflow's own theme, so that a page opened from a task looks like the place it was opened from.
"""

# A page fetches nothing and sends nothing; a script runs on the one page that says so.
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data: blob:; font-src data:; base-uri 'none'; "
    "form-action 'none'"
)
SCRIPTED = f"{POLICY}; script-src 'unsafe-inline'"

LIGHT = (
    "--bg:#fff;--panel:#f8fafd;--head:#edf0f4;--line:#dee3ea;--fg:#07121e;--quiet:#3e5873;--link:#1d4ed8;"
    "--good:#116932;--good-bg:#dcfce7;--warn:#92310a;--warn-bg:#ffedd5;--bad:#991919;--bad-bg:#fee2e2;"
    "--now:#5b7aa8;--then:#ea580c;--ok:#16a34a;--wrong:#dc2626;--some:#a3afbe;--empty:#edf0f4"
)
DARK = (
    "--bg:#07121e;--panel:#0f1c2a;--head:#1c2a3a;--line:#293c51;--fg:#edf0f4;--quiet:#a3afbe;--link:#a3cfff;"
    "--good:#86efac;--good-bg:#042713;--warn:#fdba74;--warn-bg:#3b1106;--bad:#fca5a5;--bad-bg:#300c0c;"
    "--now:#85a2c9;--then:#fb923c;--ok:#4ade80;--wrong:#f87171;--some:#778ba2;--empty:#1c2a3a"
)
# Words are broken only where one alone is wider than the page; tables scroll in a box of their own instead.
STYLE = f"""
:root{{color-scheme:light;{LIGHT}}}
@media screen and (prefers-color-scheme:dark){{:root{{color-scheme:dark;{DARK}}}}}
*{{box-sizing:border-box}}
html{{background:var(--bg);-webkit-text-size-adjust:100%}}
body{{margin:0}}
main{{font:14px/1.5 Inter,-apple-system,BlinkMacSystemFont,"Segoe UI",Roboto,Helvetica,Arial,sans-serif;
padding:1.5rem max(1rem,calc((100% - 76rem)/2)) 3rem;color:var(--fg);background:var(--bg);overflow-wrap:break-word}}
main h1{{font-size:1.5rem;line-height:1.25;margin:0 0 .4rem;font-weight:600}}
main h2{{font-size:1.15rem;margin:2rem 0 .4rem;padding-top:.8rem;border-top:1px solid var(--line);font-weight:600}}
main h3{{font-size:1rem;margin:1.2rem 0 .3rem;font-weight:600}}
main h4{{font-size:.9rem;margin:1rem 0 .3rem;font-weight:600}}
main p{{margin:.4rem 0;max-width:60rem}}
main ul{{margin:.4rem 0;padding-left:1.3rem;max-width:60rem}}
main a{{color:var(--link)}}
main a:focus-visible,main summary:focus-visible,.scroll:focus-visible{{
outline:2px solid var(--link);outline-offset:2px}}
main code{{font:.85em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}}
.scroll{{overflow-x:auto;margin:.5rem 0 1rem;border:1px solid var(--line);border-radius:.375rem}}
main table{{border-collapse:collapse;width:100%}}
main caption{{text-align:left;color:var(--quiet);padding:.35rem .65rem}}
main th,main td{{padding:.35rem .65rem;text-align:left;vertical-align:top;border-top:1px solid var(--line)}}
main tr:first-child>*{{border-top:0}}
main tbody th{{font-weight:500;color:var(--quiet)}}
main thead th{{background:var(--head);font-weight:600;border-bottom:1px solid var(--line)}}
main .s{{white-space:nowrap}}
main .n{{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}}
main .facts th{{width:14rem}}main .facts td{{overflow-wrap:anywhere;min-width:9rem;white-space:normal;
text-align:left}}
main .t{{min-width:16rem}}
main .w{{min-width:13rem;overflow-wrap:anywhere}}
.status{{display:inline-block;padding:0 .5rem;border-radius:.375rem;font-weight:600;white-space:nowrap}}
.note{{padding:.55rem .8rem;margin:.5rem 0;border-left:4px solid;border-radius:.25rem;max-width:60rem;font-weight:500}}
.good{{color:var(--good);background:var(--good-bg)}}.warn{{color:var(--warn);background:var(--warn-bg)}}
.bad{{color:var(--bad);background:var(--bad-bg)}}.quiet{{color:var(--quiet);background:var(--head)}}
.figures{{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(18rem,100%),1fr));gap:1rem;margin:.8rem 0}}
figure{{margin:0;padding:.7rem .9rem;min-width:0;border:1px solid var(--line);border-radius:.375rem;
background:var(--panel)}}
.whole{{margin:.8rem 0}}
figcaption{{font-weight:500;margin-bottom:.5rem}}
figure p,.ends{{color:var(--quiet);font-size:.85rem}}
.ends{{display:flex;justify-content:space-between;gap:1rem;margin-top:.15rem}}
.legend{{display:flex;flex-wrap:wrap;gap:.2rem 1.5rem;list-style:none;padding:0}}
.legend svg{{display:inline-block;vertical-align:-1px;margin-right:.4rem}}
main svg{{display:block;max-width:100%}}
main svg.wide{{width:100%}}
main svg text{{font-size:11px;fill:var(--fg)}}
.k-now{{fill:var(--now)}}.k-then{{fill:var(--then)}}.k-good{{fill:var(--ok)}}.k-bad{{fill:var(--wrong)}}
.k-some{{fill:var(--some)}}.k-empty{{fill:var(--empty)}}
.o-then,.o-now,.o-good,.o-bad{{fill:none;stroke:var(--then);stroke-width:2;vector-effect:non-scaling-stroke}}
.o-now{{stroke:var(--now)}}.o-good{{stroke:var(--ok)}}.o-bad{{stroke:var(--wrong)}}
.o-axis{{fill:none;stroke:var(--some);stroke-width:1;vector-effect:non-scaling-stroke}}
details{{margin:.5rem 0}}summary{{cursor:pointer;color:var(--link)}}summary>*{{display:inline;font-size:.9rem}}
main details summary h3,main details summary h4{{margin:0}}
@media (max-width:40rem){{main{{padding:1rem .75rem 2rem}}main .facts th{{width:40%}}}}
@media print{{main{{padding:0;font-size:11px}}.scroll{{overflow:visible;border:0}}
main h1,main h2,main h3,main h4{{break-after:avoid}}figure,tr{{break-inside:avoid}}
details::details-content{{content-visibility:visible;block-size:auto}}
.status,.note,.k-now,.k-then,.k-bad,.k-good{{print-color-adjust:exact}}}}
""".replace("\n", "")
