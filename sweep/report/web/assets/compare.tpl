% rebase("base", title=(" · ".join(chosen) + " · " if chosen else "") + "compare · sweep", scripts=(plotly, "page.js"), modules=("compare.js",))
<header>
<nav class="pages" aria-label="Pages"><a href="{{links.INDEX}}">All studies</a> <a href="{{links.COMPARE}}" aria-current="page">Compare</a> <a href="{{links.OPTUNA}}">Optuna's dashboard</a></nav>
<h1>{{" · ".join(chosen) if chosen else "Compare studies"}}</h1>
</header>
% if left_out:
<p class="warning" role="alert">At most {{most}} studies are compared at once: {{", ".join(left_out)}} left out.</p>
% end
<form action="{{links.COMPARE}}" method="get">
<div class="scroll choice" tabindex="0" role="region" aria-label="Studies to choose from">
<table>
<caption>Which studies? The first of those chosen is the one that the others are compared with.</caption>
<thead><tr><th scope="col">study</th><th scope="col">trials</th><th scope="col">best</th><th scope="col">data</th><th scope="col">pages</th></tr></thead>
<tbody>
% for place, row in enumerate(rows):
<tr>
<th scope="row"><label><input type="checkbox" name="study" value="{{row["name"]}}"{{!" checked" if row["name"] in chosen else ""}}> {{row["name"]}}</label></th>
<td>{{", ".join(f"{count:,} {word}" for count, word in row["outcomes"]) or "none yet"}}</td>
% if row["best_value"] is None:
<td>–</td>
% else:
<td>{{f"{row['best_value']:.4f}"}} {{row["metric"]}}, <a href="{{links.live(row["name"], row["best_number"])}}">trial {{row["best_number"]}}</a></td>
% end
<td>{{row["data"]}}{{!' <strong class="alarm">(fallback)</strong>' if row["is_fallback"] else ''}}</td>
<td><a href="{{links.live(row["name"])}}">live</a> · <a href="{{links.report(row["name"])}}">report</a> · <a href="{{row["optuna"]}}">Optuna</a>\\
% if row["name"] in chosen[1:]:
 · <a href="{{links.compare(row["name"], *(name for name in chosen if name != row["name"]))}}">as the first</a>\\
% end
</td>
</tr>
% end
</tbody>
</table>
</div>
<p><button type="submit">Compare</button></p>
</form>
% if chosen:
<noscript><p class="warning">Figures and sentences need JavaScript here. <code>sweep report {{" ".join(chosen)}}</code> writes a page with sentences and tables that need none.</p></noscript>
<div id="overview" data-part="{{links.api_compare("overview", *chosen)}}" hidden>
<div data-table="summary"></div>
<div data-list="paces"></div>
<div class="figures" data-figures></div>
</div>
% if len(chosen) > 1:
<div id="verdicts" data-part="{{links.api_compare("verdicts", *chosen)}}" hidden>
<h2>Is the difference real?</h2>
<div data-list="contrasts"></div>
<div class="figures" data-figures></div>
<div data-effects></div>
</div>
<div data-of="overview" hidden>
<h2>What differs</h2>
<div data-list="cautions"></div>
<div data-table="differences"><p>The study files say the same.</p></div>
<div data-table="winners"></div>
</div>
% end
<p id="state" role="status"></p>
% else:
<p>Choose two or more studies, or one.</p>
% end
<script type="application/json" id="templates">{{!script_json(templates)}}</script>
