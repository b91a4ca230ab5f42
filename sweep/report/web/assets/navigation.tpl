<nav class="pages" aria-label="Pages of this study">
<a href="{{links.INDEX}}">All studies</a>
% for name, address in (("live", links.live), ("compare", links.compare), ("report", links.report)):
<a href="{{address(study)}}"{{!' aria-current="page"' if name == here else ''}}>{{name.capitalize()}}</a>
% end
<a href="{{optuna}}">Optuna's page</a>
</nav>
